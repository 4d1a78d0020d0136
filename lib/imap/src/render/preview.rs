//! PREVIEW: the first words of a message.
//!
//! Standards   RFC 8970 (at most 200 characters, UTF-8, no markup)
//! Invariants  linear; only the first [`READ_MAX`] bytes of a part are looked at
use super::View;
use penny_mime::charset::to_utf8;
use penny_mime::{Disposition, Part, header::find_field};

/// Characters sent (RFC 8970 3.1: 200 at most).
const PREVIEW_MAX: usize = 200;
/// Encoded bytes of a part looked at.
const READ_MAX: usize = 64 * 1024;

/// The preview of a message; empty when there is no text in it.
pub fn preview(view: &View<'_>) -> String {
    let part = view.structure().leaves().find(|p| p.content_type.is_kind("text") && !is_attachment(view, p));
    part.map(|p| text_of(view, p)).unwrap_or_default()
}

fn is_attachment(view: &View<'_>, part: &Part) -> bool {
    let field = find_field(part.header.of(view.bytes()), "Content-Disposition");
    field.and_then(|f| Disposition::parse(f.value)).is_some_and(|d| d.is_attachment())
}

fn text_of(view: &View<'_>, part: &Part) -> String {
    let body = part.body.of(view.bytes());
    let decoded = part.encoding.decode(&body[..body.len().min(READ_MAX)]);
    let text = to_utf8(part.content_type.charset(), &decoded);
    let plain = if part.content_type.is("text", "html") { strip_html(&text) } else { skip_quotes(&text) };
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.join(" ").chars().filter(|c| !c.is_control()).take(PREVIEW_MAX).collect()
}

/// Quoted lines say nothing new; when there is nothing else they stay.
fn skip_quotes(text: &str) -> String {
    let own: Vec<&str> = text.lines().take_while(|l| l.trim_end() != "--").filter(|l| !l.starts_with('>')).collect();
    let own = own.join("\n");
    if own.trim().is_empty() { text.to_owned() } else { own }
}

/// Text between tags; style, script, head and comments are dropped.
pub fn strip_html(html: &str) -> String {
    let (mut out, mut rest) = (String::new(), html);
    while let Some(at) = rest.find('<') {
        push_entities(&mut out, &rest[..at]);
        rest = &rest[at..];
        let skip = ["style", "script", "head", "title"].iter().find(|t| opens(rest, t));
        let end = match skip {
            Some(tag) => find_ignore_case(rest, &format!("</{tag}")),
            None if rest.starts_with("<!--") => rest.find("-->").map(|n| n + 2),
            None => Some(0),
        };
        let Some(close) = end.and_then(|from| rest[from..].find('>').map(|n| from + n + 1)) else { return out };
        out.push(' ');
        rest = &rest[close..];
    }
    push_entities(&mut out, rest);
    out
}

fn opens(rest: &str, tag: &str) -> bool {
    let after = rest.as_bytes().get(1..=tag.len());
    after.is_some_and(|a| a.eq_ignore_ascii_case(tag.as_bytes()))
        && !rest.as_bytes().get(tag.len() + 1).is_some_and(u8::is_ascii_alphanumeric)
}

fn find_ignore_case(haystack: &str, needle: &str) -> Option<usize> {
    haystack.as_bytes().windows(needle.len()).position(|w| w.eq_ignore_ascii_case(needle.as_bytes()))
}

fn push_entities(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match rest.bytes().take(12).position(|b| b == b';').and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
}

fn entity(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let value =
            number.strip_prefix(['x', 'X']).map_or_else(|| number.parse().ok(), |h| u32::from_str_radix(h, 16).ok())?;
        return char::from_u32(value);
    }
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "auml" => 'ä',
        "ouml" => 'ö',
        "uuml" => 'ü',
        "szlig" => 'ß',
        "eacute" => 'é',
        "hellip" => '…',
        "ndash" => '–',
        "mdash" => '—',
        "euro" => '€',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(message: &str) -> String {
        preview(&View::new(message.as_bytes()))
    }

    #[test]
    fn plain_html_and_none() {
        assert_eq!(of("\n> quoted\nHello\n  world\n-- \nsig\n"), "Hello world");
        assert_eq!(
            of(
                "Content-Type: text/html\n\n<html><head><title>x</title></head><style>p{}</style><!-- <b> --><p>Hi&nbsp;&auml;&#x41;&bad;</p><script>1<2</script>"
            ),
            "Hi äA&bad;"
        );
        assert_eq!(of("Content-Type: image/png\n\nxx"), "");
        assert_eq!(of("\n> only\n"), "> only");
        assert_eq!(of(&format!("\n{}", "wörter ".repeat(100))).chars().count(), 200);
    }

    #[test]
    fn encodings_and_hostile_tags() {
        assert_eq!(
            of(
                "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\ngr=FC=DFe"
            ),
            "grüße"
        );
        assert_eq!(of(&format!("Content-Type: text/html\n\n{}", "<".repeat(50_000))), "");
    }
}
