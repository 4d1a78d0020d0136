//! The summary as one page: no script, no font, no file besides it.

use super::chart::{bars, escape, hours};
use super::stats::{DELAYS, Stats, largest};
use super::text::{lists, totals};
use crate::logs::{clock, day};
use std::fmt::Write as _;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1d2530;--soft:#5c6673;--line:#dfe3e8;--page:#f6f7f9;--card:#fff;--blue:#2f6fde;--green:#2c9a5f;--red:#d2493a}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b2;--line:#333b46;--page:#14181d;--card:#1c2229;--blue:#6b9cf5;--green:#55c48a;--red:#ef7d70}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:28px 20px 48px}
h1{font-size:24px;margin:0}
h2{font-size:15px;margin:0 0 12px;font-weight:600}
.when{color:var(--soft);margin:2px 0 22px}
.totals{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:12px;margin-bottom:16px}
.totals div,section{background:var(--card);border:1px solid var(--line);border-radius:8px}
.totals div{padding:12px 14px}
.totals b{display:block;font-size:22px;font-variant-numeric:tabular-nums;line-height:1.25}
.totals span{color:var(--soft);font-size:13px}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:16px}
section{padding:16px 18px;margin-bottom:16px}
.grid2 section{margin:0}
svg{display:block;width:100%;height:auto;font-family:inherit}
.grid{stroke:var(--line)}
.tick,.name,.count{fill:var(--soft);font-size:12px}
.name{fill:var(--ink);font-size:14px}
.count{font-size:14px;font-variant-numeric:tabular-nums}
.received{fill:var(--blue)}.delivered{fill:var(--green)}.refused{fill:var(--red)}
.key{display:flex;gap:18px;color:var(--soft);font-size:13px;margin-bottom:8px}
.key i{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px}
footer{color:var(--soft);font-size:13px;margin-top:20px}
";

/// The whole page.
pub fn page(s: &Stats, host: &str, top: usize) -> String {
    let host = escape(host);
    let when = format!("{} {} to {} {} UTC", day(s.from), clock(s.from), day(s.to), clock(s.to));
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>Mail of {host}, {}</title>\n\
         <style>{STYLE}</style></head>\n<body><main>\n<h1>Mail of {host}</h1>\n<p class=\"when\">{when}</p>\n",
        day(s.from)
    );
    out.push_str("<div class=\"totals\">\n");
    for (name, value) in totals(s) {
        let _ = writeln!(out, "<div><b>{value}</b><span>{name}</span></div>");
    }
    out.push_str("</div>\n<section><h2>Messages by hour</h2><div class=\"key\">");
    for (color, name) in [("blue", "received"), ("green", "delivered"), ("red", "refused")] {
        let _ = write!(out, "<span><i style=\"background:var(--{color})\"></i>{name}</span>");
    }
    let _ = write!(out, "</div>{}</section>\n<div class=\"grid2\">\n", hours(s));
    let delays: Vec<(&str, u64)> = DELAYS.iter().map(|d| d.1).zip(s.delays).collect();
    let _ = writeln!(out, "<section><h2>Delay of deliveries</h2>{}</section>", bars("delays", &delays, "delivered"));
    for (title, counts) in lists(s) {
        let rows = largest(counts, top);
        let class = if title.starts_with("Refused") || title.starts_with("Why") { "refused" } else { "received" };
        if !rows.is_empty() {
            let _ = writeln!(out, "<section><h2>{title}</h2>{}</section>", bars(title, &rows, class));
        }
    }
    out + "</div>\n<footer>Made by pennypost summary from the log.</footer>\n</main></body></html>"
}
