//! Special-use attributes of folders.
//!
//! Standards   RFC 6154, RFC 8457 (\Important)
//! Format      `pennypost-special-use` in the root Maildir: lines `\Attribute<TAB>folder name in UTF-8`; what it does not name
//!             goes by the usual folder names
use super::Session;
use super::answer::Answer;
use super::spaces::Place;
use penny_imap::Code;
use penny_maildir::FolderName;
use std::collections::BTreeMap;

/// Name of the file.
const FILE: &str = "pennypost-special-use";
/// Largest file believed.
const FILE_MAX: u64 = 64 * 1024;

/// Attributes with the folder names that have them when nothing else is said.
const USUAL: [(&str, &[&str]); 6] = [
    ("\\Archive", &["Archive", "Archives"]),
    ("\\Drafts", &["Drafts"]),
    ("\\Junk", &["Junk", "Spam"]),
    ("\\Sent", &["Sent", "Sent Messages", "Sent Items"]),
    ("\\Trash", &["Trash", "Deleted Messages"]),
    ("\\Important", &["Important"]),
];

/// Which folder has which attribute.
#[derive(Debug, Default)]
pub struct SpecialUse {
    of: BTreeMap<FolderName, String>,
}

impl SpecialUse {
    /// The attribute of a folder.
    pub fn get(&self, folder: &FolderName) -> Option<&str> {
        self.of.get(folder).map(String::as_str)
    }
}

impl Session {
    /// What holds now, for folders that exist.
    pub(super) fn special_use(&self, exists: impl Fn(&FolderName) -> bool) -> SpecialUse {
        let mut all = SpecialUse::default();
        let written = self.read_special_use();
        for (attribute, usual) in USUAL {
            let named: Vec<FolderName> =
                written.iter().filter(|(a, _)| a == attribute).map(|(_, f)| f.clone()).collect();
            let candidates = usual.iter().filter_map(|n| FolderName::from_parts(&[n]).ok());
            let found: Vec<FolderName> =
                if named.is_empty() { candidates.filter(|f| exists(f)).take(1).collect() } else { named };
            all.of.extend(found.into_iter().filter(|f| exists(f)).map(|f| (f, attribute.to_owned())));
        }
        all
    }

    fn read_special_use(&self) -> Vec<(String, FolderName)> {
        let path = self.spaces.own.root().path().join(FILE);
        let bytes = penny_sys::fs::read_limited(&path, FILE_MAX).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let line = |l: &str| {
            let (attribute, name) = l.split_once('\t')?;
            Some((attribute.to_owned(), FolderName::from_utf8(name, &penny_maildir::NameStyle::default()).ok()?))
        };
        text.lines().filter_map(line).collect()
    }

    /// RFC 6154 3: an attribute we do not know, or that another folder has been given, is USEATTR.
    pub(super) fn check_special_use(&self, place: &Place, wanted: &[String]) -> Option<Answer> {
        if !(place.is_own() || wanted.is_empty()) {
            return Some(Answer::no(Code::UseAttr, "Special use is for mailboxes of one's own"));
        }
        let known = |w: &String| USUAL.iter().any(|(a, _)| a.eq_ignore_ascii_case(w));
        let written = self.read_special_use();
        let taken = |w: &String| written.iter().any(|(a, f)| a.eq_ignore_ascii_case(w) && self.spaces.own.exists(f));
        if !wanted.iter().all(known) {
            return Some(Answer::no(Code::UseAttr, "Special use not supported"));
        }
        wanted.iter().any(taken).then(|| Answer::no(Code::UseAttr, "Another mailbox has this special use"))
    }

    pub(super) fn set_special_use(&self, place: &Place, wanted: &[String]) -> Result<(), Answer> {
        if !place.is_own() {
            return Ok(());
        }
        let folder = &place.folder;
        let mut all = self.read_special_use();
        if wanted.is_empty() && !all.iter().any(|(_, f)| f == folder) {
            return Ok(());
        }
        all.retain(|(_, f)| f != folder && self.spaces.own.exists(f));
        for word in wanted {
            let attribute = USUAL.iter().find(|(a, _)| a.eq_ignore_ascii_case(word)).map_or("", |(a, _)| a);
            all.push((attribute.to_owned(), folder.clone()));
        }
        let style = penny_maildir::NameStyle::default();
        let text: String = all.iter().map(|(a, f)| format!("{a}\t{}\n", f.to_utf8(&style))).collect();
        let path = self.spaces.own.root().path().join(FILE);
        penny_sys::fs::replace_file(&path, text.as_bytes(), 0o600).map_err(|e| {
            penny_base::log::error("special-use", None, &[("why", &e)]);
            Answer::no(Code::Unavailable, "Temporary failure")
        })
    }
}
