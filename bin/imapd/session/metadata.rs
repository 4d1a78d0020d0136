//! GETMETADATA, SETMETADATA, and the METADATA that LIST returns.
//!
//! Standards   RFC 5464, RFC 9590 (LIST-METADATA), RFC 6154 4 (/private/specialuse)
//! Invariants  1. SETMETADATA changes all or nothing   2. what this user cannot own (/shared of the server) is read-only
//! Not here    the files: penny_maildir::annotation
use super::Session;
use super::answer::Answer;
use super::spaces::Place;
use penny_imap::command::Name;
use penny_imap::command::metadata::{Depth, GetMetadata};
use penny_imap::{Code, write};
use penny_maildir::Error;
use penny_maildir::annotation::{self, Annotations, VALUE_MAX, Values};

/// The special use of a mailbox as an annotation.
const SPECIAL_USE: &str = "/private/specialuse";

/// What a GETMETADATA or LIST found, in the order asked for.
type Found = Vec<(String, Option<Vec<u8>>)>;

impl Session {
    /// The mailbox that a METADATA command is about; `None` is the server.
    fn annotated(&self, name: &[u8]) -> Result<Option<Place>, Answer> {
        if name.is_empty() {
            return Ok(None);
        }
        let place = self.place(&Name(name.to_vec()))?;
        if self.spaces.exists(&place) { Ok(Some(place)) } else { Err(Answer::no(Code::NonExistent, "No such mailbox")) }
    }

    fn annotations(&self, place: Option<&Place>) -> Result<Annotations, Answer> {
        match place {
            Some(place) => self.spaces.store(place).annotations(&place.folder).map_err(|e| Answer::of(&e)),
            None => Ok(self.spaces.own.server_annotations()),
        }
    }

    /// All annotations, with those that are kept elsewhere.
    fn annotation_values(&self, place: Option<&Place>) -> Result<Values, Answer> {
        let mut values = self.annotations(place)?.all().map_err(|e| Answer::of(&e))?;
        match place {
            // what is private is its owner's (RFC 5464 2)
            Some(place) if !place.is_own() => values.retain(|name, _| !is_private(name)),
            Some(place) => {
                let special = self.special_use(|f| self.spaces.own.exists(f));
                values.extend(special.get(&place.folder).map(|a| (SPECIAL_USE.to_owned(), a.as_bytes().to_vec())));
            }
            None => {
                // RFC 5464 6.2.1.2: how to reach the administrator
                let admin = format!("mailto:postmaster@{}", self.config.hostname());
                values.insert("/shared/admin".into(), admin.into_bytes());
            }
        }
        Ok(values)
    }

    pub(super) fn get_metadata(&mut self, args: &GetMetadata) -> Answer {
        let place = match self.annotated(&args.name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        let Some(names) = entry_names(&args.entries) else { return Answer::bad("Invalid entry name") };
        let values = match self.annotation_values(place.as_ref()) {
            Ok(values) => values,
            Err(no) => return no,
        };
        let (found, longest) = shortened(pick(&values, &names, args.depth), args.max_size);
        self.tell_metadata(place.as_ref(), &found);
        match longest {
            // RFC 5464 4.2.1: the size of the longest that was left out
            Some(n) => Answer::ok_with(Code::MetadataLongEntries(n), "GETMETADATA completed"),
            None => Answer::ok("GETMETADATA completed"),
        }
    }

    /// `* METADATA box (entry value ...)`; nothing when there is nothing to tell.
    fn tell_metadata(&mut self, place: Option<&Place>, found: &Found) {
        if found.is_empty() {
            return;
        }
        let shown = place.map_or_else(String::new, |f| self.shown(f));
        let out = &mut self.conn.out;
        out.extend_from_slice(b"* METADATA ");
        write::mailbox(out, &shown);
        for (index, (name, value)) in found.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b" (" } else { b" " });
            write::astring(out, name.as_bytes());
            out.push(b' ');
            write::value(out, value.as_deref());
        }
        out.extend_from_slice(b")\r\n");
    }

    /// RFC 9590 2: of every mailbox listed, the entries asked for, NIL where there is none.
    pub(super) fn list_metadata(&mut self, place: &Place, entries: &[Vec<u8>]) {
        let Some(names) = entry_names(entries) else { return };
        if let Ok(values) = self.annotation_values(Some(place)) {
            let found = pick(&values, &names, Depth::Zero);
            self.tell_metadata(Some(place), &found);
        }
    }

    pub(super) fn set_metadata(&mut self, name: &[u8], entries: &[(Vec<u8>, Option<Vec<u8>>)]) -> Answer {
        let place = match self.annotated(name) {
            Ok(place) => place,
            Err(no) => return no,
        };
        let names: Vec<Vec<u8>> = entries.iter().map(|e| e.0.clone()).collect();
        let Some(names) = entry_names(&names) else { return Answer::bad("Invalid entry name") };
        if names.iter().any(|n| n.to_ascii_lowercase().starts_with("/shared/")) {
            let Some(place) = &place else {
                return Answer::no(Code::NoPerm, "Entries of the server are set by the administrator");
            };
            // RFC 5464 3.3: shared entries need the right to write
            if let Err(no) = self.demand(place, "w") {
                return no;
            }
        }
        if place.as_ref().is_some_and(|f| !f.is_own()) && names.iter().any(|n| is_private(n)) {
            return Answer::no(Code::NoPerm, "No private entries on mail of others");
        }
        let mut changes: Vec<(String, Option<Vec<u8>>)> =
            names.into_iter().zip(entries.iter().map(|e| e.1.clone())).collect();
        let special = changes.iter().position(|(n, _)| place.is_some() && n.eq_ignore_ascii_case(SPECIAL_USE));
        let special = special.map(|at| changes.remove(at).1.unwrap_or_default());
        if let Err(no) = self.annotations(place.as_ref()).and_then(|a| a.set(&changes).map_err(|e| refusal(&e))) {
            return no;
        }
        match (place, special) {
            (Some(place), Some(value)) => self.set_special_use_value(&place, &value),
            _ => Answer::ok("SETMETADATA completed"),
        }
    }

    /// RFC 6154 4: the attributes, separated by spaces; an empty value takes them away.
    fn set_special_use_value(&mut self, place: &Place, value: &[u8]) -> Answer {
        let wanted: Vec<String> = String::from_utf8_lossy(value).split_whitespace().map(str::to_owned).collect();
        if let Err(no) = self.set_special_use(place, &[]) {
            return no;
        }
        if let Some(no) = self.check_special_use(place, &wanted) {
            return no;
        }
        match self.set_special_use(place, &wanted) {
            Ok(()) => Answer::ok("SETMETADATA completed"),
            Err(no) => no,
        }
    }
}

fn is_private(name: &str) -> bool {
    name.get(..9).is_some_and(|head| head.eq_ignore_ascii_case("/private/"))
}

/// Entry names as text; `None` when one is no entry name (a `/private` or `/shared` alone may be asked about with DEPTH).
fn entry_names(entries: &[Vec<u8>]) -> Option<Vec<String>> {
    let name = |e: &Vec<u8>| {
        let text = std::str::from_utf8(e).ok()?;
        let root = text.eq_ignore_ascii_case("/private") || text.eq_ignore_ascii_case("/shared");
        (root || annotation::is_valid_name(text)).then(|| text.to_owned())
    };
    entries.iter().map(name).collect()
}

/// What is asked for: a name without value is told as NIL where no depth was given, else only what exists.
fn pick(values: &Values, names: &[String], depth: Depth) -> Found {
    let mut found = Found::new();
    for name in names {
        let wanted = name.to_ascii_lowercase();
        if depth == Depth::Zero {
            found.push((name.clone(), values.get(&wanted).cloned()));
            continue;
        }
        for (key, value) in values.iter().filter(|(key, _)| is_within(key, &wanted, depth)) {
            if !found.iter().any(|(seen, _)| seen == key) {
                found.push((key.clone(), Some(value.clone())));
            }
        }
    }
    found
}

/// RFC 5464 4.2.2: the entry itself, its children, or all below it.
fn is_within(key: &str, entry: &str, depth: Depth) -> bool {
    match key.strip_prefix(entry) {
        Some("") => true,
        Some(rest) => match rest.strip_prefix('/') {
            Some(below) => depth == Depth::Infinity || !below.contains('/'),
            None => false,
        },
        None => false,
    }
}

/// Without the values longer than MAXSIZE, and the length of the longest of those.
fn shortened(found: Found, max: Option<u64>) -> (Found, Option<u64>) {
    let length = |v: &Option<Vec<u8>>| v.as_ref().map_or(0, Vec::len) as u64;
    let Some(max) = max else { return (found, None) };
    let longest = found.iter().map(|(_, v)| length(v)).filter(|n| *n > max).max();
    (found.into_iter().filter(|(_, v)| length(v) <= max).collect(), longest)
}

/// RFC 5464 4.3: which bound a change would pass.
fn refusal(error: &Error) -> Answer {
    match error {
        Error::Limit("annotation too long") => Answer::no(Code::MetadataMaxSize(VALUE_MAX as u64), "Value too long"),
        Error::Limit(_) => Answer::no(Code::MetadataTooMany, "Too many annotations"),
        other => Answer::of(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_size() {
        let value = |n: usize| vec![b'x'; n];
        let values: Values = [("/private/a", 1), ("/private/a/b", 2), ("/private/a/b/c", 3), ("/private/ab", 4)]
            .map(|(k, n)| (k.to_owned(), value(n)))
            .into();
        let names = |depth| {
            let found = pick(&values, &["/Private/a".into()], depth);
            found.into_iter().map(|(_, v)| v.map_or(0, |v| v.len())).collect::<Vec<_>>()
        };
        assert_eq!(names(Depth::Zero), [1]);
        assert_eq!(names(Depth::One), [1, 2]);
        assert_eq!(names(Depth::Infinity), [1, 2, 3]);
        let all = pick(&values, &["/private".into()], Depth::Infinity);
        let (short, longest) = shortened(all, Some(2));
        assert_eq!((short.len(), longest), (2, Some(4)));
        assert_eq!(pick(&values, &["/shared/x".into()], Depth::Zero), [("/shared/x".to_owned(), None)]);
    }
}
