//! From what a walk found to one verdict.

use penny_scan::policy::{Action, Policy};
use penny_scan::walk::Report;

/// What is said of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing to say.
    Clean,
    /// A signature matched.
    Found,
    /// Content that policy refuses.
    Policy,
    /// Not all of it could be scanned.
    Unscannable,
    /// The file or something of ours failed.
    Error,
}

impl Kind {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Clean => "clean",
            Kind::Found => "found",
            Kind::Policy => "policy",
            Kind::Unscannable => "unscannable",
            Kind::Error => "error",
        }
    }

    /// Exit code by hand.
    pub fn code(self) -> u8 {
        match self {
            Kind::Clean => 0,
            Kind::Found => 1,
            Kind::Error => 2,
            Kind::Unscannable => 3,
            Kind::Policy => 4,
        }
    }

    /// How bad: of several files the worst decides.
    pub fn rank(self) -> u8 {
        match self {
            Kind::Clean => 0,
            Kind::Error => 1,
            Kind::Unscannable => 2,
            Kind::Policy => 3,
            Kind::Found => 4,
        }
    }
}

/// A verdict with its ground.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What.
    pub kind: Kind,
    /// Signature, class or trouble.
    pub name: String,
    /// In words.
    pub reason: String,
    /// What policy wants done.
    pub action: Action,
    /// Classes and troubles that do not decide.
    pub tags: Vec<String>,
    /// Octet ranges to take out of the message.
    pub strip: Vec<(usize, usize)>,
}

impl Verdict {
    /// Something of our own.
    pub fn error(reason: String) -> Verdict {
        Verdict {
            kind: Kind::Error,
            name: String::new(),
            reason,
            action: Action::Reject,
            tags: Vec::new(),
            strip: Vec::new(),
        }
    }

    /// A find by another scanner.
    pub fn found(name: String, reason: String) -> Verdict {
        Verdict { kind: Kind::Found, name, reason, ..Verdict::error(String::new()) }
    }
}

/// One class or trouble with what policy says.
struct Ground {
    word: &'static str,
    text: String,
    action: Action,
    part: Option<(usize, usize)>,
    trouble: bool,
}

/// Judges a report.
pub fn judge(report: &Report, policy: &Policy) -> Verdict {
    if let Some(first) = report.found.first() {
        return Verdict::found(first.what.clone(), at("signature", &first.path));
    }
    let grounds = grounds(report, policy);
    let tags: Vec<String> = grounds.iter().map(|g| g.word.to_owned()).collect();
    let refused = |g: &&Ground| g.action > Action::Tag && !g.trouble;
    let worst = grounds.iter().filter(refused).max_by_key(|g| g.action);
    let trouble = grounds.iter().filter(|g| g.trouble).max_by_key(|g| g.action);
    // the worst trouble decides where policy would only tag the rest, and takes the stronger of both actions
    let (kind, ground) = match (worst, trouble) {
        (Some(w), _) => (Kind::Policy, Some(w)),
        (None, Some(t)) => (Kind::Unscannable, Some(t)),
        (None, None) => (Kind::Clean, None),
    };
    let action = grounds.iter().map(|g| g.action).max().unwrap_or(Action::Accept);
    let strip = grounds.iter().filter(|g| g.action == Action::Strip).filter_map(|g| g.part).collect();
    let (name, reason) = ground.map(|g| (g.word.to_owned(), g.text.clone())).unwrap_or_default();
    let mut tags: Vec<String> = tags.into_iter().filter(|t| *t != name).collect();
    tags.sort();
    tags.dedup();
    Verdict { kind, name, reason, action, tags, strip }
}

fn grounds(report: &Report, policy: &Policy) -> Vec<Ground> {
    let classes = report.classes.iter().map(|f| Ground {
        word: f.what.word(),
        text: at(&f.detail, &f.path),
        action: policy.class(f.what),
        part: f.part,
        trouble: false,
    });
    let troubles = report.troubles.iter().map(|f| Ground {
        word: f.what.word(),
        text: at(&f.detail, &f.path),
        action: policy.trouble(f.what),
        part: f.part,
        trouble: true,
    });
    classes.chain(troubles).filter(|g| g.action != Action::Accept).collect()
}

fn at(text: &str, path: &str) -> String {
    if path.is_empty() { text.to_owned() } else { format!("{text}, in {path}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penny_scan::sink::{Class, Trouble};
    use penny_scan::walk::Find;

    fn find<T>(what: T) -> Find<T> {
        Find { what, detail: "d".into(), path: "p".into(), part: None }
    }

    #[test]
    fn order_of_grounds() {
        let mut r = Report::default();
        let p = Policy::default();
        assert_eq!(judge(&r, &p).kind, Kind::Clean);
        r.classes.push(find(Class::Macro));
        let v = judge(&r, &p);
        assert_eq!((v.kind, v.tags.len()), (Kind::Clean, 1));
        r.troubles.push(find(Trouble::Encrypted));
        assert_eq!(judge(&r, &p).kind, Kind::Unscannable);
        r.classes.push(find(Class::Executable));
        let v = judge(&r, &p);
        assert_eq!((v.kind, v.action), (Kind::Policy, Action::Reject));
        r.found.push(find("Eicar-Test".into()));
        assert_eq!(judge(&r, &p).kind, Kind::Found);
    }

    #[test]
    fn troubles_are_never_clean_unless_accepted() {
        for t in Trouble::ALL {
            let r = Report { troubles: vec![find(t)], ..Report::default() };
            let mut p = Policy::default();
            assert_eq!(judge(&r, &p).kind, Kind::Unscannable);
            p.set(t.word(), "accept").unwrap();
            assert_eq!(judge(&r, &p).kind, Kind::Clean);
        }
    }
}
