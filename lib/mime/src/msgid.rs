//! Message-ID, In-Reply-To and References.
//!
//! Standards   RFC 5322 3.6.4
//! Invariants  at most [`IDS_MAX`] ids are read from one field
//! Failures    text outside `<...>` is skipped; a field without brackets whose first word holds `@` gives that word
use crate::token::{ADDRESS_SPECIALS, Lexer, Token};

/// Ids read from one field.
pub const IDS_MAX: usize = 1000;

/// Reads the ids of a field, without brackets, quoting undone (`<"a"@b>` and `<a@b>` are one id).
pub fn parse_ids(field: &[u8]) -> Vec<Vec<u8>> {
    let (mut ids, mut open): (Vec<Vec<u8>>, Option<Vec<u8>>) = (Vec::new(), None);
    for token in Lexer::new(field, ADDRESS_SPECIALS) {
        match (token, &mut open) {
            (Token::Special(b'<'), _) => open = Some(Vec::new()),
            (Token::Special(b'>'), Some(id)) => {
                if !id.is_empty() && ids.len() < IDS_MAX {
                    ids.push(std::mem::take(id));
                }
                open = None;
            }
            (Token::Special(b), Some(id)) => id.push(b),
            (Token::Atom(t) | Token::Quoted(t) | Token::Literal(t), Some(id)) => id.extend_from_slice(&t),
            _ => {}
        }
    }
    if ids.is_empty() { bare_id(field).into_iter().collect() } else { ids }
}

fn bare_id(field: &[u8]) -> Option<Vec<u8>> {
    if field.contains(&b'<') {
        return None;
    }
    let word = field.split(|&b| crate::header::is_wsp(b)).find(|w| !w.is_empty())?;
    word.contains(&b'@').then(|| word.to_vec())
}

/// The first id of a field.
pub fn first_id(field: &[u8]) -> Option<Vec<u8>> {
    parse_ids(field).into_iter().next()
}

/// The References of a reply: the parent's references and its own id (RFC 5322 3.6.4); the middle is cut beyond `max` ids,
/// so that the root and the nearest ancestors stay.
pub fn reply_references(parent_references: &[Vec<u8>], parent_id: &[u8], max: usize) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = parent_references.iter().filter(|id| id.as_slice() != parent_id).cloned().collect();
    all.push(parent_id.to_vec());
    if all.len() > max && max > 1 {
        all.drain(1..all.len() - max + 1);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_rubbish() {
        assert_eq!(parse_ids(b"<a@b> text (<c@d>)\r\n <\"e f\"@g>"), [b"a@b".to_vec(), b"e f@g".to_vec()]);
        assert_eq!(parse_ids(b"a@b c"), [b"a@b".to_vec()]);
        assert_eq!(first_id(b"<x@[127.0.0.1]>").unwrap(), b"x@[127.0.0.1]");
        assert!(parse_ids(b"no id").is_empty() && parse_ids(b"<open@x").is_empty() && parse_ids(b"<>").is_empty());
        assert_eq!(parse_ids(&b"<a@b>".repeat(2000)).len(), IDS_MAX);
    }

    #[test]
    fn references_keep_root_and_nearest() {
        let refs: Vec<Vec<u8>> = (0..10u8).map(|n| vec![b'a' + n]).collect();
        let r = reply_references(&refs, b"z", 4);
        assert_eq!(r, [b"a".to_vec(), b"i".to_vec(), b"j".to_vec(), b"z".to_vec()]);
        assert_eq!(reply_references(&[], b"z", 4), [b"z".to_vec()]);
    }
}
