//! LANG, RFC 6856 3. Texts are English; `i-default` is the same by RFC 2277 4.5.

use penny_pop3::{err, listing, ok};

const KNOWN: [(&str, &str); 2] = [("en", "English"), ("i-default", "i-default")];

/// The answer, and the language from now on.
pub fn command(tag: Option<&str>, current: &mut Option<String>) -> Vec<u8> {
    let Some(tag) = tag else {
        return listing("languages follow", KNOWN.iter().map(|(tag, name)| format!("{tag} {name}")));
    };
    if tag == "*" {
        *current = None;
        return ok("i-default texts are used");
    }
    // RFC 4647 3.4 lookup: en-GB falls back to en
    let base = tag.split('-').next().unwrap_or(tag);
    let known = KNOWN.iter().find(|(k, _)| k.eq_ignore_ascii_case(tag) || k.eq_ignore_ascii_case(base));
    match known {
        Some((tag, _)) => {
            *current = Some((*tag).to_owned());
            ok(&format!("{tag} texts are used"))
        }
        None => err(None, "no texts in that language"),
    }
}
