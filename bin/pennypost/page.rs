//! `pennypost defaults --man`: the page pennypost.toml(5), made from the same list as the file itself.

use penny_base::config::{Config, Filter, Listen, Shown};
use std::fmt::Write as _;

const HEAD: &str = r#".Dd November 24, 2026
.Dt PENNYPOST.TOML 5
.Os pennypost
.Sh NAME
.Nm pennypost.toml
.Nd configuration of the mail server
.Sh DESCRIPTION
One TOML file.
Every key is optional; an unknown key is an error.
.Ql pennypost check
shows all mistakes at once, each with file, line and column, and
.Ql pennypost check -s
the effective values.
Sizes are written
.Ql 512KiB ,
.Ql 50MiB ,
.Ql 1GiB
or as a number of octets; times
.Ql 90s ,
.Ql 5m ,
.Ql 4h ,
.Ql 5d
or as a number of seconds.
"#;

const TAIL: &str = r#".Sh FILES
.Bl -tag -width Ds -compact
.It Pa /etc/pennypost/pennypost.toml
the file, unless
.Fl c
or
.Ev PENNYPOST_CONFIG
names another
.It Pa /etc/pennypost/pennypost.toml.checked
its checked form, written by
.Ql pennypost check -w
.El
.Sh EXAMPLES
.Bd -literal -offset indent
hostname = "mx.example.org"

[queue]
postmaster = "ann@example.org"

[[listen]]
name = "smtp"
address = "[::]:25"
program = "smtpd"
args = ["-r", "mx"]
.Ed
.Sh SEE ALSO
.Xr pennypost 1 ,
.Xr pennypost-tables 5 ,
.Xr pennypost-overview 7
"#;

/// The whole page.
pub fn text() -> String {
    let mut out = String::from(HEAD);
    let mut section = None;
    Config::default().each(&mut |s| {
        if section != Some(s.section) {
            if section.is_some() {
                out.push_str(".El\n");
            }
            section = Some(s.section);
            open(&mut out, s.section);
        }
        item(&mut out, &s);
    });
    out.push_str(".El\n");
    open(&mut out, "[listen]");
    Listen::default().each(&mut |s| item(&mut out, &s));
    out.push_str(".El\n");
    open(&mut out, "[filter]");
    Filter::default().each(&mut |s| item(&mut out, &s));
    out.push_str(".El\n");
    out + TAIL
}

fn open(out: &mut String, section: &str) {
    let title = if section.is_empty() { "Keys above the first section".into() } else { format!("[{section}]") };
    let _ = write!(out, ".Ss {title}\n.Bl -tag -width Ds\n");
}

fn item(out: &mut String, s: &Shown) {
    let value = escape(&s.value.show()).replace('"', "\\(dq");
    let _ = writeln!(out, ".It Ic {} = {value}", s.key);
    for line in s.doc {
        // a new sentence starts a new line, as mdoc wants it
        for sentence in line.trim().split_inclusive(". ") {
            let sentence = escape(sentence.trim());
            let guard = if sentence.starts_with(['.', '\'']) { "\\&" } else { "" };
            let _ = writeln!(out, "{guard}{sentence}");
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e")
}
