//! Which mailboxes a filter names: of NOTIFY and of ESEARCH.
//!
//! Standards   RFC 5465 6 (filter-mailboxes), RFC 7377 2.2 (subtree-one)
use super::Session;
use super::answer::Answer;
use super::spaces::Place;
use penny_imap::command::Name;
use penny_imap::command::sources::Source;

/// A filter with its names resolved.
pub enum Filter {
    Personal,
    Subscribed,
    These(Vec<Place>),
    /// These and what is below them; only their children where it is true.
    Below(Vec<Place>, bool),
}

impl Filter {
    pub fn fits(&self, place: &Place, subscribed: &[Place]) -> bool {
        match self {
            Filter::Personal => place.is_own(),
            Filter::Subscribed => subscribed.contains(place),
            Filter::These(names) => names.contains(place),
            Filter::Below(roots, one) => roots.iter().any(|root| {
                let near = !*one || place.parent().as_ref() == Some(root);
                place == root || (place.is_below(root) && near)
            }),
        }
    }
}

impl Session {
    pub(super) fn filter(&self, source: &Source) -> Result<Filter, Answer> {
        let places = |names: &[Name]| names.iter().map(|n| self.place(n)).collect::<Result<Vec<_>, _>>();
        Ok(match source {
            Source::Selected | Source::SelectedDelayed => {
                Filter::These(self.selected.iter().map(|s| s.place.clone()).collect())
            }
            // RFC 5465 6.3: where rules may deliver anywhere, "inboxes" is the same as "personal"
            Source::Inboxes | Source::Personal => Filter::Personal,
            Source::Subscribed => Filter::Subscribed,
            Source::Mailboxes(names) => Filter::These(places(names)?),
            Source::Subtree(names) => Filter::Below(places(names)?, false),
            Source::SubtreeOne(names) => Filter::Below(places(names)?, true),
        })
    }
}
