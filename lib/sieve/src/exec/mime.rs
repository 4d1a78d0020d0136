//! MIME parts: foreverypart, break, replace, enclose, extracttext.
//!
//! Standards   RFC 5703 3, 5, 6, 7
//! Invariants  nesting of loops is bounded by the script's own; parts by the parser of penny-mime

use super::{Failed, Flow, test, variables};
use crate::check::Call;
use crate::machine::Machine;
use crate::message::Message;
use penny_mime::build::HeaderBuilder;

/// RFC 5703 3: depth first; a loop inside a loop walks the parts of the part at hand.
pub(crate) fn foreverypart(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    if m.loops >= crate::check::LOOPS_MAX {
        let most = crate::check::LOOPS_MAX;
        return Err(Failed::at(call.pos, format!("foreverypart loops nested more than {most} deep")));
    }
    m.loops += 1;
    let parts = match m.part {
        None => test::subtree(&m.message, 0),
        Some(top) => test::subtree(&m.message, top).into_iter().skip(1).collect(),
    };
    let name = call.text_tag("name").map(|t| m.text(t));
    let outer = m.part;
    let mut result = Ok(Flow::Next);
    for part in parts {
        m.part = Some(part);
        match m.block(&call.block) {
            Ok(Flow::Next) => {}
            Ok(Flow::Break(None)) => break,
            Ok(Flow::Break(label)) if label == name => break,
            other => {
                result = other;
                break;
            }
        }
    }
    m.part = outer;
    m.loops -= 1;
    result
}

/// RFC 5703 3.2.
pub(crate) fn break_loop(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    Ok(Flow::Break(call.text_tag("name").map(|t| m.text(t))))
}

/// RFC 5703 7: the text of the part at hand in a variable.
pub(crate) fn extracttext(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let part = m.part.unwrap_or(0);
    let structure = m.message.structure();
    let found = structure.parts.get(part).filter(|p| p.children.is_empty() && p.content_type.is_kind("text"));
    let mut text = found.map_or_else(String::new, |p| {
        let text = m.message.content_text(part);
        if p.content_type.is("text", "html") { super::body::without_markup(&text) } else { text }
    });
    if let Some(first) = call.number_tag("first") {
        text = text.chars().take(usize::try_from(first).unwrap_or(usize::MAX)).collect();
    }
    let value = variables::modified(call, text, m.settings.limits.variable_size);
    let name = m.text(call.text(0));
    m.set_variable(&name, value);
    Ok(Flow::Next)
}

/// RFC 5703 5: another content in the place of the part at hand, or of the whole message.
pub(crate) fn replace(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let text = m.text(call.text(0));
    let eol = m.message.eol();
    let entity = entity(&text, call.has("mime"), eol);
    match m.part.filter(|p| *p > 0) {
        Some(part) => {
            let structure = m.message.structure();
            let Some(span) = structure.parts.get(part) else { return Ok(Flow::Next) };
            let raw = m.message.bytes();
            let mut new = raw.get(..span.header.start).unwrap_or_default().to_vec();
            new.extend_from_slice(&entity);
            new.extend_from_slice(raw.get(span.body.end..).unwrap_or_default());
            m.message = Message::new(new);
            m.part = Some(part);
        }
        None => m.message = replaced(m, call, &entity, eol),
    }
    Ok(Flow::Next)
}

/// Content fields and content of plain text, or what `:mime` brings along.
fn entity(text: &str, mime: bool, eol: &str) -> Vec<u8> {
    let body = text.replace("\r\n", "\n").replace('\n', eol);
    if mime {
        return body.into_bytes();
    }
    let mut out =
        format!("Content-Type: text/plain; charset=utf-8{eol}Content-Transfer-Encoding: 8bit{eol}{eol}").into_bytes();
    out.extend_from_slice(body.as_bytes());
    out
}

/// RFC 5703 5: the fields of the message stay but for content and, where given, subject and sender.
fn replaced(m: &Machine<'_>, call: &Call, entity: &[u8], eol: &'static str) -> Message {
    let subject = call.text_tag("subject").map(|t| m.text(t));
    let from = call.text_tag("from").map(|t| m.text(t));
    let mut new = Vec::new();
    for field in penny_mime::Fields::new(m.message.header_of(0)) {
        let name = String::from_utf8_lossy(field.name).to_ascii_lowercase();
        let gone = name.starts_with("content-")
            || name == "mime-version"
            || (name == "subject" && subject.is_some())
            || (name == "from" && from.is_some());
        let kept = match (gone, name.as_str()) {
            (false, _) => None,
            (true, "subject") => Some("Original-Subject"),
            (true, "from") => Some("Original-From"),
            (true, _) => continue,
        };
        match kept {
            None => new.extend_from_slice(field.raw),
            Some(name) => new.extend_from_slice(&penny_mime::build::fold(name, &field.unfolded(), eol)),
        }
    }
    let mut more = HeaderBuilder::new(eol);
    if let Some(from) = from {
        more.text("From", &from);
    }
    if let Some(subject) = subject {
        more.text("Subject", &subject);
    }
    more.structured("MIME-Version", "1.0");
    new.extend_from_slice(more.as_bytes());
    new.extend_from_slice(entity);
    Message::new(new)
}

/// RFC 5703 6: the message becomes an attachment of a new one.
pub(crate) fn enclose(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let eol = m.message.eol();
    let text = m.text(call.text(0)).replace("\r\n", "\n").replace('\n', eol);
    let subject = call.text_tag("subject").map(|t| m.text(t)).or_else(|| m.message.value("Subject"));
    let mut head = HeaderBuilder::new(eol);
    for name in ["From", "To", "Cc", "Date"] {
        for value in m.message.raw_values(0, name) {
            head.raw(name, &value);
        }
    }
    head.text("Subject", &subject.unwrap_or_default());
    if let Some(list) = call.list_tag("headers") {
        for field in m.texts(list) {
            if let Some((name, value)) = field.split_once(':')
                && super::edit::valid_name(name.trim())
                && super::edit::valid_value(value)
            {
                head.text(name.trim(), value.trim());
            }
        }
    }
    let boundary = format!("=_{}", super::duplicate::hash(&[&m.host.unique(), &text]));
    head.structured("MIME-Version", "1.0");
    head.structured("Content-Type", &format!("multipart/mixed; boundary=\"{boundary}\""));
    let mut new = head.finish();
    let mut add = |text: &str| new.extend_from_slice(text.replace('\n', eol).as_bytes());
    add(&format!("--{boundary}\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"));
    add(&text.replace(eol, "\n"));
    add(&format!("\n--{boundary}\nContent-Type: message/rfc822\nContent-Disposition: attachment\n\n"));
    new.extend_from_slice(m.message.bytes());
    new.extend_from_slice(format!("{eol}--{boundary}--{eol}").as_bytes());
    m.message = Message::new(new);
    Ok(Flow::Next)
}
