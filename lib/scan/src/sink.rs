//! What a format reader hands its finds to.
//!
//! Why         readers stay pure: bytes in, members out; limits, recursion and signatures are the walker's business,
//!             and a fuzz driver can put any sink behind a reader

use std::io::Read;

/// Why something could not be scanned for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// Encrypted content.
    Encrypted,
    /// A limit was reached.
    Limit,
    /// A format or method without a reader.
    Unsupported,
    /// Content that does not decode.
    Damaged,
    /// Part of a message that is elsewhere.
    Partial,
    /// Readers would disagree about the content.
    Ambiguous,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Trouble; 6] = [
        Trouble::Encrypted,
        Trouble::Limit,
        Trouble::Unsupported,
        Trouble::Damaged,
        Trouble::Partial,
        Trouble::Ambiguous,
    ];

    /// The word used in configuration and reports.
    pub fn word(self) -> &'static str {
        match self {
            Trouble::Encrypted => "encrypted",
            Trouble::Limit => "limit",
            Trouble::Unsupported => "unsupported",
            Trouble::Damaged => "damaged",
            Trouble::Partial => "partial",
            Trouble::Ambiguous => "ambiguous",
        }
    }
}

/// What content is, for policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A name that hides what the file is.
    Name,
    /// A name whose extension runs when opened.
    Extension,
    /// A program by content.
    Executable,
    /// A script by name or content.
    Script,
    /// A document with macros.
    Macro,
    /// Macros that run when the document is opened.
    AutoMacro,
    /// A shortcut file.
    Link,
    /// A disk image, which hides its content from the mark of the web.
    DiskImage,
    /// HTML or SVG that builds a file by script.
    Smuggling,
    /// A document that starts something by itself (PDF launch, OLE package).
    Active,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 10] = [
        Class::Name,
        Class::Extension,
        Class::Executable,
        Class::Script,
        Class::Macro,
        Class::AutoMacro,
        Class::Link,
        Class::DiskImage,
        Class::Smuggling,
        Class::Active,
    ];

    /// The word used in configuration and reports.
    pub fn word(self) -> &'static str {
        match self {
            Class::Name => "name",
            Class::Extension => "extension",
            Class::Executable => "executable",
            Class::Script => "script",
            Class::Macro => "macro",
            Class::AutoMacro => "auto-macro",
            Class::Link => "link",
            Class::DiskImage => "disk-image",
            Class::Smuggling => "smuggling",
            Class::Active => "active",
        }
    }
}

/// What a container says about a member.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// The container's kind as signatures name it: `ZIP`, `MAIL` and so on.
    pub container: &'static str,
    /// Every reading of the member's name.
    pub names: Vec<String>,
    /// Size as stored.
    pub packed: Option<u64>,
    /// Size it is said to have.
    pub size: Option<u64>,
    /// Said to be encrypted.
    pub encrypted: bool,
    /// Number in the container, from 1.
    pub position: u64,
    /// A guess: failing to decode it means nothing.
    pub guess: bool,
    /// A piece of one document (a PDF stream, a mail part without a name) that does not count as a file.
    pub piece: bool,
    /// To be read as mail whatever it looks like.
    pub mail: bool,
    /// Text of a message that was read flat: headers and parts in it have been seen.
    pub flat: bool,
    /// Address and length of the encoded octets in the container, to find the part again.
    pub source: Option<(usize, usize)>,
}

impl Meta {
    /// A member with one name.
    pub fn named(container: &'static str, name: impl Into<String>) -> Meta {
        Meta { container, names: vec![name.into()], ..Meta::default() }
    }

    /// A member without a name.
    pub fn plain(container: &'static str) -> Meta {
        Meta { container, ..Meta::default() }
    }
}

/// How decoding a member went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Octets that came out.
    pub bytes: u64,
    /// The decoder reported an error before the end.
    pub failed: bool,
}

/// Receives the finds of a reader.
pub trait Sink {
    /// A member whose bytes are there as they are.
    fn member(&mut self, meta: &Meta, data: &[u8]);
    /// A member behind a decoder.
    fn decode(&mut self, meta: &Meta, from: &mut dyn Read) -> Decoded;
    /// A member of which only the description can be read.
    fn listed(&mut self, meta: &Meta);
    /// Something that cannot be scanned.
    fn trouble(&mut self, trouble: Trouble, detail: &str);
    /// As `trouble`, about one part: address and length of its encoded octets, as in [`Meta::source`].
    fn trouble_in(&mut self, trouble: Trouble, detail: &str, _source: (usize, usize)) {
        self.trouble(trouble, detail);
    }
    /// A property of the container itself.
    fn class(&mut self, class: Class, detail: &str);
    /// Whether the reader should stop: a limit was reached, or enough is known.
    fn done(&self) -> bool;
}

/// A sink that keeps everything, for tests and fuzzing.
#[derive(Default)]
pub struct Collect {
    /// Members: name and content.
    pub members: Vec<(String, Vec<u8>)>,
    /// Names only.
    pub listed: Vec<String>,
    /// Troubles.
    pub troubles: Vec<(Trouble, String)>,
    /// Classes.
    pub classes: Vec<(Class, String)>,
    total: usize,
}

/// Most that [`Collect`] keeps in all.
const COLLECT_MAX: usize = 8 << 20;

impl Sink for Collect {
    fn member(&mut self, meta: &Meta, data: &[u8]) {
        self.total += data.len() + 64;
        self.members.push((meta.names.first().cloned().unwrap_or_default(), data.to_vec()));
    }

    fn decode(&mut self, meta: &Meta, from: &mut dyn Read) -> Decoded {
        let mut out = Vec::new();
        let failed = from.take(COLLECT_MAX as u64).read_to_end(&mut out).is_err();
        let bytes = out.len() as u64;
        if !(out.is_empty() && failed) {
            self.member(meta, &out);
        }
        Decoded { bytes, failed }
    }

    fn listed(&mut self, meta: &Meta) {
        self.total += 64;
        self.listed.push(meta.names.first().cloned().unwrap_or_default());
    }

    fn trouble(&mut self, trouble: Trouble, detail: &str) {
        self.troubles.push((trouble, detail.to_owned()));
    }

    fn class(&mut self, class: Class, detail: &str) {
        self.classes.push((class, detail.to_owned()));
    }

    fn done(&self) -> bool {
        self.total > COLLECT_MAX
    }
}

impl Collect {
    /// Whether some member is exactly `data`.
    pub fn has(&self, data: &[u8]) -> bool {
        self.members.iter().any(|(_, d)| d == data)
    }
}
