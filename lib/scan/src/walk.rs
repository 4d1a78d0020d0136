//! The walk: one object scanned, opened, and each thing found in it walked in turn.
//!
//! Order       signatures first (the same sweep finds the places where something begins), then names and content
//!             classes, then the readers: by the first bytes, and at every marked place
//! Invariants  1. reaching a limit is a trouble   2. the same bytes are walked once   3. a find ends the walk unless all
//!             finds are wanted
//! Trust       everything below is hostile; memory is bounded by `limits.object` for each level and by the scratch file
//! Not here    the formats (format/, mime/), what a verdict means for mail (bin/virusscan)

use crate::kind::{self, Kind};
use crate::marker::Marker;
use crate::names;
use crate::policy::{Limits, Policy};
use crate::scratch::{Content, Scratch};
use crate::sig::container::{self, Member, Rule};
use crate::sig::db::{Db, Hits, Subject};
use crate::sig::hashes::Algorithm;
use crate::sig::place::Layout;
use crate::sink::{Class, Decoded, Meta, Sink, Trouble};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::time::Instant;

/// What a walk is asked to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Actions and whether classes count.
    pub policy: Policy,
    /// Bounds.
    pub limits: Limits,
    /// Go on after the first find.
    pub all: bool,
    /// Keep the tree with hashes.
    pub tree: bool,
}

/// One line of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// How deep.
    pub depth: usize,
    /// The names it goes by.
    pub names: Vec<String>,
    /// Its format.
    pub kind: String,
    /// Its size.
    pub size: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// One find, class or trouble, with the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Find<T> {
    /// What.
    pub what: T,
    /// More about it.
    pub detail: String,
    /// Names of the containers on the way, `/` between.
    pub path: String,
    /// Which part of the message it is in: octet range of the part, where it is in one.
    pub part: Option<(usize, usize)>,
}

/// The outcome of a walk.
#[derive(Default)]
pub struct Report {
    /// Signatures: `what` is the name.
    pub found: Vec<Find<String>>,
    /// Content classes.
    pub classes: Vec<Find<Class>>,
    /// Troubles.
    pub troubles: Vec<Find<Trouble>>,
    /// Objects walked.
    pub objects: u64,
    /// Octets walked.
    pub bytes: u64,
    /// The tree, when asked for.
    pub tree: Vec<Node>,
}

struct State<'s> {
    db: &'s Db<'s>,
    options: &'s Options,
    scratch: &'s mut Scratch,
    report: Report,
    rules: Option<Vec<Rule>>,
    seen: HashSet<(u64, usize)>,
    hasher: RandomState,
    deadline: Instant,
    files: u64,
    pieces: u64,
    unpacked: u64,
    stop: bool,
}

/// The object being walked and those around it.
struct Frame<'f> {
    data: &'f [u8],
    kind: Kind,
    path: String,
    depth: usize,
    part: Option<(usize, usize)>,
    parent: Option<&'f Frame<'f>>,
}

impl<'f> Frame<'f> {
    /// The same object, in what is said about one part of it.
    fn within(&self, source: Option<(usize, usize)>) -> Frame<'f> {
        Frame {
            data: self.data,
            kind: self.kind,
            path: self.path.clone(),
            depth: self.depth,
            part: self.part_of(source),
            parent: self.parent,
        }
    }

    /// The part of the message that holds what comes from `source`: that of the object, or a body in the message itself.
    fn part_of(&self, source: Option<(usize, usize)>) -> Option<(usize, usize)> {
        self.part.or_else(|| {
            let (at, len) = source.filter(|_| self.depth == 0)?;
            let start = at.checked_sub(self.data.as_ptr() as usize)?;
            (start + len <= self.data.len()).then_some((start, start + len))
        })
    }
}

/// What a reader sees of the walk.
struct Ctx<'c, 's> {
    st: &'c mut State<'s>,
    frame: &'c Frame<'c>,
}

/// Walks one file or message. What stands at the top is read as mail too, whatever it looks like.
pub fn walk(db: &Db<'_>, options: &Options, scratch: &mut Scratch, data: &[u8], names: &[String]) -> Report {
    let mut st = State {
        db,
        options,
        scratch,
        report: Report::default(),
        rules: None,
        seen: HashSet::new(),
        hasher: RandomState::new(),
        deadline: Instant::now() + options.limits.time,
        files: 0,
        pieces: 0,
        unpacked: 0,
        stop: false,
    };
    let meta = Meta { names: names.to_vec(), ..Meta::default() };
    object(&mut st, None, &meta, data, None);
    if Instant::now() > st.deadline {
        // a reader that gave nothing has stopped for it, and nobody has said so
        let end = Frame { data, kind: Kind::Data, path: path(None, &meta), depth: 0, part: None, parent: None };
        st.trouble(&end, Trouble::Limit, "out of time");
    }
    st.report
}

fn object(st: &mut State<'_>, parent: Option<&Frame<'_>>, meta: &Meta, data: &[u8], forced: Option<Kind>) {
    let depth = parent.map_or(0, |p| p.depth + 1);
    let path = path(parent, meta);
    let kind = match forced.unwrap_or_else(|| kind::detect(data)) {
        Kind::Mail if meta.flat => Kind::Text,
        kind => kind,
    };
    let part = parent.and_then(|p| p.part_of(meta.source));
    let frame = Frame { data, kind, path, depth, part, parent };
    if !st.admit(&frame, meta) {
        return;
    }
    let markers = st.sweep(&frame);
    if st.options.tree {
        let sha256 = hex(&Algorithm::Sha256.digest(data));
        st.report.tree.push(Node {
            depth,
            names: meta.names.clone(),
            kind: kind.word(),
            size: data.len() as u64,
            sha256,
        });
    }
    if st.stop {
        return;
    }
    if depth >= st.options.limits.depth {
        // what cannot hold anything may be this deep
        if !matches!(kind, Kind::Text | Kind::Data | Kind::Picture) || !markers.is_empty() {
            st.trouble(&frame, Trouble::Limit, "too deep");
        }
        return;
    }
    if kind == Kind::Script && !meta.piece && kind::is_windows_script(data) {
        st.class(&frame, Class::Script, "a script by its content");
    }
    let mut ctx = Ctx { st, frame: &frame };
    crate::open::open(kind, data, &markers, &mut ctx);
    let unread = || kind.is_text() && !meta.flat && crate::mime::flat::has_parts(data);
    let top = || depth == 0 && (kind.is_text() || crate::mime::flat::has_parts(data));
    if kind != Kind::Mail && !ctx.done() && (top() || unread()) {
        crate::mime::flat::read(data, &mut ctx);
    }
}

fn path(parent: Option<&Frame<'_>>, meta: &Meta) -> String {
    let own = meta.names.first().map_or(meta.container, String::as_str);
    match parent {
        Some(p) if !p.path.is_empty() && p.path.len() < 400 => format!("{}/{}", p.path, names::shown(own)),
        _ => names::shown(own),
    }
}

impl State<'_> {
    /// Counts an object; false when it was seen before or a limit is reached.
    fn admit(&mut self, frame: &Frame<'_>, meta: &Meta) -> bool {
        let key = (self.hasher.hash_one(frame.data), frame.data.len());
        if self.stop || !self.seen.insert(key) {
            return false;
        }
        let limits = &self.options.limits;
        if meta.piece {
            self.pieces += 1
        } else {
            self.files += 1
        };
        let over = if self.files > limits.files || self.pieces > limits.pieces {
            Some("too many files")
        } else if Instant::now() > self.deadline {
            Some("out of time")
        } else {
            None
        };
        if let Some(detail) = over {
            self.trouble(frame, Trouble::Limit, detail);
            self.stop = true;
            return false;
        }
        self.report.objects += 1;
        self.report.bytes += frame.data.len() as u64;
        true
    }

    /// Hashes and body signatures; gives the marked places.
    fn sweep(&mut self, frame: &Frame<'_>) -> Vec<(Marker, usize)> {
        let layout = match frame.kind {
            Kind::Pe => crate::format::pe::layout(frame.data),
            Kind::Elf => crate::format::elf::layout(frame.data),
            _ => Layout::default(),
        };
        self.hashes(frame, &layout);
        let mut hits = Hits::default();
        let target = frame.kind.target();
        let subject = Subject { data: frame.data, target, layout: &layout, normalised: false };
        self.db.scan(&subject, &mut hits);
        if self.db.wants_text && frame.kind.is_text() {
            let text = crate::normal::normalise(frame.data, frame.kind == Kind::Html);
            self.db.scan(&Subject { data: &text, normalised: true, ..subject }, &mut hits);
        }
        if hits.overrun {
            self.trouble(frame, Trouble::Limit, "signature work");
        }
        let yara = self.db.yara(frame.data);
        if let Some(detail) = yara.trouble {
            self.trouble(frame, Trouble::Limit, detail);
        }
        yara.rules.iter().for_each(|rule| self.find(frame, format!("YARA.{rule}")));
        for n in std::mem::take(&mut hits.found) {
            let name = self.db.sig_name(n);
            self.find(frame, name);
        }
        let mut markers: Vec<_> =
            hits.markers.iter().filter_map(|(n, at)| Some((Marker::from_number(*n)?, *at))).collect();
        markers.sort_unstable();
        markers.dedup();
        markers
    }

    fn hashes(&mut self, frame: &Frame<'_>, layout: &Layout) {
        let mut names = Vec::new();
        for (n, algorithm) in Algorithm::ALL.into_iter().enumerate() {
            if let Some(table) = self.db.hashes.get(n).copied().flatten().filter(|t| t.may_hold(frame.data.len())) {
                names.extend(table.find(&algorithm.digest(frame.data), frame.data.len()));
            }
            let Some(table) = self.db.hashes.get(n + 3).copied().flatten() else { continue };
            for (start, len) in layout.sections.iter().take(96).filter(|(_, len)| *len > 0 && table.may_hold(*len)) {
                let Some(section) = frame.data.get(*start..start.saturating_add(*len)) else { continue };
                names.extend(table.find(&algorithm.digest(section), *len));
            }
        }
        for name in names {
            let name = self.db.name(name);
            self.find(frame, name);
        }
    }

    fn find(&mut self, frame: &Frame<'_>, name: String) {
        let known = self.report.found.iter().any(|f| f.what == name && f.path == frame.path);
        if known || self.allowed(frame) {
            return;
        }
        self.report.found.push(Find { what: name, detail: String::new(), path: frame.path.clone(), part: frame.part });
        self.stop |= !self.options.all;
    }

    /// Whether the object, or one it came from, is on the allow list.
    fn allowed(&self, frame: &Frame<'_>) -> bool {
        let tables = Algorithm::ALL.into_iter().zip(&self.db.allowed);
        let tables: Vec<_> = tables.filter_map(|(a, t)| Some((a, (*t)?))).collect();
        let mut here = Some(frame);
        while let Some(f) = here.filter(|_| !tables.is_empty()) {
            let len = f.data.len();
            if tables.iter().any(|(a, t)| t.may_hold(len) && t.find(&a.digest(f.data), len).is_some()) {
                return true;
            }
            here = f.parent;
        }
        false
    }

    fn trouble(&mut self, frame: &Frame<'_>, what: Trouble, detail: &str) {
        let find = Find { what, detail: detail.to_owned(), path: frame.path.clone(), part: frame.part };
        if self.report.troubles.len() < 100 && !self.report.troubles.contains(&find) {
            self.report.troubles.push(find);
        }
    }

    fn class(&mut self, frame: &Frame<'_>, what: Class, detail: &str) {
        let find = Find { what, detail: detail.to_owned(), path: frame.path.clone(), part: frame.part };
        if self.options.policy.enabled && self.report.classes.len() < 100 && !self.report.classes.contains(&find) {
            self.report.classes.push(find);
        }
    }

    /// Names and sizes of a member: policy and container rules.
    fn describe(&mut self, outer: &Frame<'_>, meta: &Meta) {
        let frame = &outer.within(meta.source);
        for name in &meta.names {
            for (class, detail) in names::judge(name) {
                self.class(frame, class, &detail);
            }
        }
        if self.db.container.is_empty() || meta.container.is_empty() {
            return;
        }
        let rules = self.rules.take().unwrap_or_else(|| container::rules(self.db.container));
        for name in meta.names.iter().map(String::as_str).chain(meta.names.is_empty().then_some("")) {
            let member = Member {
                container: meta.container,
                container_size: frame.data.len() as u64,
                name,
                packed: meta.packed,
                size: meta.size,
                encrypted: meta.encrypted,
                position: meta.position,
            };
            if let Some(rule) = rules.iter().find(|r| r.matches(&member)) {
                self.find(frame, rule.name.clone());
            }
        }
        self.rules = Some(rules);
    }

    /// Reads a decoder to its end or a limit.
    fn pull(&mut self, frame: &Frame<'_>, meta: &Meta, from: &mut dyn Read) -> (Option<Content>, Decoded) {
        let limits = self.options.limits.clone();
        let packed = meta.packed.filter(|p| *p > 0).unwrap_or(frame.data.len() as u64).max(1);
        let mut sink = self.scratch.begin();
        let mut decoded = Decoded::default();
        let mut buffer = vec![0; 32 << 10];
        let over = loop {
            let n = match from.read(&mut buffer) {
                Ok(0) => break None,
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    decoded.failed = true;
                    break None;
                }
            };
            decoded.bytes += n as u64;
            self.unpacked += n as u64;
            if sink.add(buffer.get(..n).unwrap_or_default()).is_err() {
                break Some("no room to unpack");
            }
            if decoded.bytes > limits.object {
                break Some("object too large");
            } else if self.unpacked > limits.total {
                break Some("too much unpacked");
            } else if decoded.bytes > limits.ratio_from && decoded.bytes / packed > limits.ratio {
                break Some("compression ratio");
            } else if decoded.bytes % (1 << 20) < n as u64 && Instant::now() > self.deadline {
                break Some("out of time");
            }
        };
        let content = sink.finish();
        if let Some(detail) = over {
            self.trouble(frame, Trouble::Limit, detail);
            self.stop |= self.unpacked > limits.total || Instant::now() > self.deadline;
        }
        match content {
            Ok(content) => (Some(content), decoded),
            Err(_) => {
                self.trouble(frame, Trouble::Limit, "no room to unpack");
                (None, decoded)
            }
        }
    }
}

impl Sink for Ctx<'_, '_> {
    fn member(&mut self, meta: &Meta, data: &[u8]) {
        self.st.describe(self.frame, meta);
        if !self.st.stop && !data.is_empty() {
            object(self.st, Some(self.frame), meta, data, meta.mail.then_some(Kind::Mail));
        }
    }

    fn decode(&mut self, meta: &Meta, from: &mut dyn Read) -> Decoded {
        self.st.describe(self.frame, meta);
        if self.st.stop {
            return Decoded::default();
        }
        let mark = self.st.scratch.mark();
        let (content, decoded) = self.st.pull(self.frame, meta, from);
        if let Some(content) = content.filter(|c| !c.is_empty()) {
            object(self.st, Some(self.frame), meta, &content, meta.mail.then_some(Kind::Mail));
        }
        self.st.scratch.release(mark);
        decoded
    }

    fn listed(&mut self, meta: &Meta) {
        self.st.describe(self.frame, meta);
    }

    fn trouble(&mut self, trouble: Trouble, detail: &str) {
        self.st.trouble(self.frame, trouble, detail);
    }

    fn trouble_in(&mut self, trouble: Trouble, detail: &str, source: (usize, usize)) {
        self.st.trouble(&self.frame.within(Some(source)), trouble, detail);
    }

    fn class(&mut self, class: Class, detail: &str) {
        self.st.class(self.frame, class, detail);
    }

    fn done(&self) -> bool {
        self.st.stop || Instant::now() > self.st.deadline
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
