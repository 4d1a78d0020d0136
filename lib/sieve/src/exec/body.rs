//! The body test.
//!
//! Standards   RFC 5173
//! Invariants  match variables are not touched (RFC 5173 6)

use super::{Failed, quiet_match};
use crate::check::Call;
use crate::machine::Machine;

/// RFC 5173 4.
pub(crate) fn body(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    // RFC 5173 4: a header alone has no body, not even an empty one
    let has_body = penny_mime::Fields::new(m.message.bytes()).last().is_none_or(|f| f.end < m.message.bytes().len());
    let values = if !has_body {
        Vec::new()
    } else if call.has("raw") {
        vec![lines(&String::from_utf8_lossy(m.message.body()))]
    } else if let Some(list) = call.list_tag("content") {
        let types = m.texts(list);
        content(m, &types)
    } else {
        text(m)
    };
    Ok(quiet_match(m, call, &values, call.list(0))?.is_some())
}

/// Strings of scripts have CRLF line ends.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// RFC 5173 5.3: the text a person would read.
fn text(m: &Machine<'_>) -> Vec<String> {
    let structure = m.message.structure();
    let all = structure.parts.iter().enumerate();
    let is_html =
        |p: &penny_mime::Part| p.content_type.is("text", "html") || p.content_type.is("application", "xhtml+xml");
    // a type with a second slash is none (RFC 2045 5.1), an unknown encoding makes octets of unknown meaning (RFC 2045 6.4)
    let readable =
        |p: &penny_mime::Part| !p.content_type.sub.contains(&b'/') && p.encoding != penny_mime::Encoding::Unknown;
    let texts =
        all.filter(|(_, p)| p.children.is_empty() && (p.content_type.is_kind("text") || is_html(p)) && readable(p));
    texts
        .map(|(at, p)| {
            let text = m.message.content_text(at);
            lines(&if is_html(p) { without_markup(&text) } else { text })
        })
        .collect()
}

/// Drops tags and decodes the commonest entities.
pub(crate) fn without_markup(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let lower: String = from.chars().take(8).collect::<String>().to_ascii_lowercase();
        let hidden = ["script", "style"].into_iter().find(|t| lower.get(1..).is_some_and(|l| l.starts_with(t)));
        rest = match hidden {
            Some(tag) => after_end(from, tag),
            None => from.find('>').and_then(|end| from.get(end + 1..)).unwrap_or_default(),
        };
    }
    out.push_str(rest);
    for (entity, text) in
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        out = out.replace(entity, text);
    }
    out
}

/// What follows `</tag>`.
fn after_end<'a>(from: &'a str, tag: &str) -> &'a str {
    let end = format!("</{tag}");
    let at = from
        .char_indices()
        .map(|(i, _)| i)
        .find(|&i| from.get(i..i + end.len()).is_some_and(|s| s.eq_ignore_ascii_case(&end)));
    let Some(rest) = at.and_then(|at| from.get(at..)) else { return "" };
    rest.find('>').and_then(|end| rest.get(end + 1..)).unwrap_or_default()
}

/// RFC 5173 5.2: parts of these types, decoded; of a multipart its prologue and epilogue, of a message its header.
fn content(m: &Machine<'_>, types: &[String]) -> Vec<String> {
    let structure = m.message.structure();
    let mut values = Vec::new();
    for (at, part) in structure.parts.iter().enumerate() {
        let kind = String::from_utf8_lossy(&part.content_type.kind).to_ascii_lowercase();
        let full = format!("{kind}/{}", String::from_utf8_lossy(&part.content_type.sub).to_ascii_lowercase());
        // RFC 5173 5.2: a type with more than one slash matches nothing
        let wanted = types.iter().any(|t| {
            let t = t.to_ascii_lowercase();
            t.is_empty() || t == kind || (t == full && t.matches('/').count() == 1)
        });
        if !wanted {
            continue;
        }
        if part.is_message() {
            // the headers of the message inside
            let inside = part.children.first().map(|&c| m.message.header_of(c)).unwrap_or_default();
            let text = lines(&String::from_utf8_lossy(inside));
            values.push(text.strip_suffix("\r\n\r\n").map(|t| format!("{t}\r\n")).unwrap_or(text));
        } else if !part.children.is_empty() {
            values.extend(around(m, part));
        } else if kind == "text" {
            values.push(lines(&m.message.content_text(at)));
        } else {
            values.push(lines(&String::from_utf8_lossy(&m.message.content(at))));
        }
    }
    values
}

/// Prologue and epilogue of a multipart.
fn around(m: &Machine<'_>, part: &penny_mime::Part) -> Vec<String> {
    let structure = m.message.structure();
    let children: Vec<_> = part.children.iter().filter_map(|&c| structure.parts.get(c)).collect();
    let bytes = m.message.bytes();
    let text = |from: usize, to: usize| {
        let raw = bytes.get(from..to).unwrap_or_default();
        let text = String::from_utf8_lossy(raw);
        // boundary lines are no content
        let kept: String = text.split_inclusive('\n').filter(|l| !l.starts_with("--")).collect();
        lines(&kept)
    };
    let first = children.first().map_or(part.body.end, |c| c.header.start);
    let last = children.last().map_or(part.body.end, |c| c.body.end);
    vec![text(part.body.start, first.max(part.body.start)), text(last.min(part.body.end), part.body.end)]
}
