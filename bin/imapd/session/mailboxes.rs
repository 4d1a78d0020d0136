//! Which mailboxes a filter names: of NOTIFY and of ESEARCH.
//!
//! Standards   RFC 5465 6 (filter-mailboxes), RFC 7377 2.2 (subtree-one)
use super::Session;
use super::answer::Answer;
use penny_imap::command::Name;
use penny_imap::command::sources::Source;
use penny_maildir::FolderName;

/// A filter with its names resolved.
pub enum Filter {
    All,
    Subscribed,
    These(Vec<FolderName>),
    /// These and what is below them; only their children where it is true.
    Below(Vec<FolderName>, bool),
}

impl Filter {
    pub fn fits(&self, folder: &FolderName, subscribed: &[FolderName]) -> bool {
        match self {
            Filter::All => true,
            Filter::Subscribed => subscribed.contains(folder),
            Filter::These(names) => names.contains(folder),
            Filter::Below(roots, one) => roots.iter().any(|root| {
                let near = !*one || folder.parts().len() == root.parts().len() + 1;
                folder == root || (folder.is_below(root) && near)
            }),
        }
    }
}

impl Session {
    pub(super) fn filter(&self, source: &Source) -> Result<Filter, Answer> {
        let folders = |names: &[Name]| names.iter().map(|n| self.folder(n)).collect::<Result<Vec<_>, _>>();
        Ok(match source {
            Source::Selected | Source::SelectedDelayed => {
                Filter::These(self.selected.iter().map(|s| s.name.clone()).collect())
            }
            // RFC 5465 6.3: where rules may deliver anywhere, "inboxes" is the same as "personal"
            Source::Inboxes | Source::Personal => Filter::All,
            Source::Subscribed => Filter::Subscribed,
            Source::Mailboxes(names) => Filter::These(folders(names)?),
            Source::Subtree(names) => Filter::Below(folders(names)?, false),
            Source::SubtreeOne(names) => Filter::Below(folders(names)?, true),
        })
    }
}
