//! Which mailboxes a command is about: the filters of NOTIFY and of ESEARCH IN.
//!
//! Standards   RFC 5465 6 and 8 (filter-mailboxes), RFC 7377 2.2 (subtree-one)
//! Invariants  at most [`NAMES_MAX`] names in one filter
use super::Name;
use crate::parse::{Bad, Cursor, Parse};

/// Names in one filter.
const NAMES_MAX: usize = 1000;

/// filter-mailboxes
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The selected mailbox.
    Selected,
    /// The same, expunges only when commands allow them (NOTIFY).
    SelectedDelayed,
    /// Where deliveries may go.
    Inboxes,
    /// All of the user's own.
    Personal,
    /// The subscribed ones.
    Subscribed,
    /// These and all below.
    Subtree(Vec<Name>),
    /// These and their children.
    SubtreeOne(Vec<Name>),
    /// These.
    Mailboxes(Vec<Name>),
}

/// Reads one filter.
pub(super) fn source(c: &mut Cursor<'_>) -> Parse<Source> {
    Ok(match c.atom_upper()?.as_str() {
        "SELECTED" => Source::Selected,
        "SELECTED-DELAYED" => Source::SelectedDelayed,
        "INBOXES" => Source::Inboxes,
        "PERSONAL" => Source::Personal,
        "SUBSCRIBED" => Source::Subscribed,
        "SUBTREE" => Source::Subtree(names(c)?),
        "SUBTREE-ONE" => Source::SubtreeOne(names(c)?),
        "MAILBOXES" => Source::Mailboxes(names(c)?),
        _ => return Err(Bad("Unknown mailbox filter")),
    })
}

/// one-or-more-mailbox
fn names(c: &mut Cursor<'_>) -> Parse<Vec<Name>> {
    c.space()?;
    let names = c.one_or_list(|c| c.astring().map(Name))?;
    if names.len() > NAMES_MAX { Err(Bad("Too many mailboxes")) } else { Ok(names) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::framed;

    #[test]
    fn all_forms() {
        let parse = |text: &str| source(&mut Cursor::new(&framed(text.as_bytes())));
        let name = |text: &str| Name(text.as_bytes().to_vec());
        assert_eq!(parse("selected-delayed"), Ok(Source::SelectedDelayed));
        assert_eq!(parse("subtree Lists"), Ok(Source::Subtree(vec![name("Lists")])));
        assert_eq!(parse("Mailboxes (a \"b c\")"), Ok(Source::Mailboxes(vec![name("a"), name("b c")])));
        assert!(parse("mailboxes").is_err() && parse("mailboxes ()").is_err() && parse("others").is_err());
    }
}
