//! Commands as types, one file per group.
//!
//! Standards   RFC 3501 6, RFC 9051 6 and the extensions named in the files
//! Failures    [`Rejected`] carries the tag, if there was one, for the tagged BAD
use crate::parse::{Bad, Cursor, Parse, ascii};
use crate::reader::Framed;
use crate::set::SequenceSet;

pub mod acl;
pub mod append;
pub mod fetch;
pub mod list;
pub mod mailbox;
pub mod metadata;
pub mod notify;
pub mod quota;
pub mod search;
pub mod session;
pub mod sources;
pub mod store;

pub use append::{AppendMessage, CatPart};
pub use fetch::{FetchArgs, Item, Section, SectionText};
pub use list::{ListArgs, StatusItem};
pub use mailbox::SelectArgs;
pub use search::{Key, SearchArgs, SearchReturn, SortArgs, ThreadArgs};
pub use store::{StoreArgs, StoreOp};

/// A mailbox name as the client wrote it (modified UTF-7 or UTF-8 by mode of the session).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub Vec<u8>);

/// A command with its tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// The command.
    pub command: Command,
}

/// A command that does not parse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The tag, if one was read.
    pub tag: Option<String>,
    /// Why.
    pub bad: Bad,
}

/// Any command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum Command {
    // any state (session.rs)
    Capability,
    Noop,
    Logout,
    Id(Vec<(Vec<u8>, Option<Vec<u8>>)>),
    // not authenticated (session.rs)
    StartTls,
    Authenticate { mechanism: String, initial: Option<Vec<u8>> },
    Login { user: Vec<u8>, password: Vec<u8> },
    // authenticated
    Enable(Vec<String>),
    Idle,
    Compress(String),
    Unauthenticate,
    Namespace,
    Select(SelectArgs),
    Create { name: Name, special_use: Vec<String> },
    Delete(Name),
    Rename { from: Name, to: Name },
    Subscribe(Name),
    Unsubscribe(Name),
    List(ListArgs),
    Status { name: Name, items: Vec<StatusItem> },
    Append { name: Name, messages: Vec<AppendMessage> },
    Acl(acl::AclCommand),
    Notify(Option<notify::NotifySet>),
    GetQuota(Vec<u8>),
    GetQuotaRoot(Name),
    SetQuota { root: Vec<u8>, limits: Vec<(String, u64)> },
    GetMetadata(metadata::GetMetadata),
    SetMetadata { name: Vec<u8>, entries: Vec<(Vec<u8>, Option<Vec<u8>>)> },
    // selected
    Check,
    Close,
    Unselect,
    Expunge(Option<SequenceSet>),
    Search(SearchArgs),
    MultiSearch { sources: Vec<sources::Source>, search: SearchArgs },
    UidBatches { size: u64, range: Option<(u64, u64)> },
    Sort(SortArgs),
    Thread(ThreadArgs),
    Fetch(FetchArgs),
    Store(StoreArgs),
    Copy { set: SequenceSet, uid: bool, name: Name },
    Move { set: SequenceSet, uid: bool, name: Name },
    Replace { set: SequenceSet, uid: bool, name: Name, message: AppendMessage },
    CancelUpdate(Vec<Vec<u8>>),
}

/// Reads a framed command.
pub fn parse(framed: &Framed) -> Result<Tagged, Rejected> {
    let mut c = Cursor::new(framed);
    let tag = match c.tag() {
        Ok(tag) if c.peek() == Some(b' ') => ascii(tag).to_owned(),
        _ => return Err(Rejected { tag: None, bad: Bad("Invalid tag") }),
    };
    let result = c.space().and_then(|()| body(&mut c));
    result.map(|command| Tagged { tag: tag.clone(), command }).map_err(|bad| Rejected { tag: Some(tag), bad })
}

/// The command word and tag of a command that is only there in part (a literal has been announced).
pub fn peek_word(framed: &Framed) -> (Option<String>, String) {
    let mut c = Cursor::new(framed);
    let Ok(tag) = c.tag().map(|t| ascii(t).to_owned()) else { return (None, String::new()) };
    let mut word = c.space().and_then(|()| c.atom_upper()).unwrap_or_default();
    if word == "UID" {
        word = c.space().and_then(|()| c.atom_upper()).unwrap_or_default();
    }
    (Some(tag), word)
}

fn body(c: &mut Cursor<'_>) -> Parse<Command> {
    let word = c.atom_upper()?;
    let command = match word.as_str() {
        "UID" => {
            c.space()?;
            let word = c.atom_upper()?;
            message_command(&word, true, c)?
        }
        word => session::parse(word, c)
            .or_else(|| mailbox::parse(word, c))
            .or_else(|| list::parse(word, c))
            .or_else(|| append::parse(word, c))
            .or_else(|| quota::parse(word, c))
            .or_else(|| acl::parse(word, c))
            .or_else(|| notify::parse(word, c))
            .or_else(|| metadata::parse(word, c))
            .or_else(|| search::parse(word, c))
            .unwrap_or_else(|| message_command(word, false, c))?,
    };
    c.end()?;
    Ok(command)
}

/// Commands that have a UID form.
fn message_command(word: &str, uid: bool, c: &mut Cursor<'_>) -> Parse<Command> {
    match word {
        "FETCH" => fetch::fetch(c, uid),
        "STORE" => store::store(c, uid),
        "COPY" | "MOVE" => store::copy_or_move(c, uid, word == "MOVE"),
        "SEARCH" => search::search(c, uid),
        "SORT" => search::sort(c, uid),
        "THREAD" => search::thread(c, uid),
        "EXPUNGE" => store::expunge(c, uid),
        "REPLACE" => append::replace(c, uid),
        _ => Err(Bad("Unknown command")),
    }
}

/// Reads a space and a mailbox name.
pub(crate) fn name(c: &mut Cursor<'_>) -> Parse<Name> {
    c.space()?;
    c.astring().map(Name)
}
