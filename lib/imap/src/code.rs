//! Response codes.
//!
//! Standards   RFC 5530, RFC 3501 7.1, RFC 4315, RFC 5182, RFC 5464, RFC 7162, RFC 7889, RFC 8474, RFC 9208 and others named
//! Invariants  the text written is well-formed whatever the values
use crate::set::NumberSet;
use std::fmt::{self, Display, Formatter};

/// A response code, without brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the RFCs")]
pub enum Code {
    Alert,
    AlreadyExists,
    AuthenticationFailed,
    AuthorizationFailed,
    BadCharset,
    BadEvent(&'static str),
    Cannot,
    ClientBug,
    Closed,
    CompressionActive,
    ContactAdmin,
    Corruption,
    Expired,
    ExpungeIssued,
    HasChildren,
    InUse,
    Limit,
    NonExistent,
    NoPerm,
    NotSaved,
    NoUpdate(String),
    OverQuota,
    Parse,
    PrivacyRequired,
    ServerBug,
    TryCreate,
    TooBig,
    Unavailable,
    UnknownCte,
    UidNotSticky,
    UseAttr,
    ReadOnly,
    ReadWrite,
    BadUrl(String),
    Capability(String),
    UidNext(u32),
    UidValidity(u32),
    Unseen(u32),
    HighestModSeq(u64),
    NoModSeq,
    MailboxId(String),
    Modified(NumberSet),
    AppendUid(u32, NumberSet),
    CopyUid(u32, String, String),
    PermanentFlags(String),
    MessageLimit(u32, Option<u32>),
    MetadataLongEntries(u64),
    MetadataMaxSize(u64),
    MetadataTooMany,
    MetadataNoPrivate,
    UidRequired,
    TooFew,
    UndefinedFilter(String),
    NotificationOverflow,
    InProgress(String, Option<(u64, u64)>),
}

impl Display for Code {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Code::BadEvent(list) => write!(f, "BADEVENT ({list})"),
            Code::NoUpdate(tag) => write!(f, "NOUPDATE \"{tag}\""),
            Code::BadUrl(url) => write!(f, "BADURL {}", crate::write::quoted_text(url)),
            Code::Capability(list) => write!(f, "CAPABILITY {list}"),
            Code::UidNext(n) => write!(f, "UIDNEXT {n}"),
            Code::UidValidity(n) => write!(f, "UIDVALIDITY {n}"),
            Code::Unseen(n) => write!(f, "UNSEEN {n}"),
            Code::HighestModSeq(n) => write!(f, "HIGHESTMODSEQ {n}"),
            Code::MailboxId(id) => write!(f, "MAILBOXID ({id})"),
            Code::Modified(set) => write!(f, "MODIFIED {set}"),
            Code::AppendUid(validity, uids) => write!(f, "APPENDUID {validity} {uids}"),
            Code::CopyUid(validity, from, to) => write!(f, "COPYUID {validity} {from} {to}"),
            Code::PermanentFlags(list) => write!(f, "PERMANENTFLAGS {list}"),
            Code::MessageLimit(n, None) => write!(f, "MESSAGELIMIT {n}"),
            Code::MessageLimit(n, Some(uid)) => write!(f, "MESSAGELIMIT {n} {uid}"),
            Code::MetadataLongEntries(n) => write!(f, "METADATA LONGENTRIES {n}"),
            Code::MetadataMaxSize(n) => write!(f, "METADATA MAXSIZE {n}"),
            Code::UndefinedFilter(name) => write!(f, "UNDEFINED-FILTER {name}"),
            Code::InProgress(tag, progress) => {
                // RFC 9585 4: a tag that would end the code is left out
                let tag = if tag.contains(']') { "NIL".to_owned() } else { format!("\"{tag}\"") };
                match progress {
                    Some((done, goal)) => write!(f, "INPROGRESS ({tag} {done} {goal})"),
                    None => write!(f, "INPROGRESS ({tag} NIL NIL)"),
                }
            }
            plain => f.write_str(plain.word()),
        }
    }
}

impl Code {
    fn word(&self) -> &'static str {
        match self {
            Code::Alert => "ALERT",
            Code::AlreadyExists => "ALREADYEXISTS",
            Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Code::BadCharset => "BADCHARSET (UTF-8 US-ASCII)",
            Code::Cannot => "CANNOT",
            Code::ClientBug => "CLIENTBUG",
            Code::Closed => "CLOSED",
            Code::CompressionActive => "COMPRESSIONACTIVE",
            Code::ContactAdmin => "CONTACTADMIN",
            Code::Corruption => "CORRUPTION",
            Code::Expired => "EXPIRED",
            Code::ExpungeIssued => "EXPUNGEISSUED",
            Code::HasChildren => "HASCHILDREN",
            Code::InUse => "INUSE",
            Code::Limit => "LIMIT",
            Code::MetadataNoPrivate => "METADATA NOPRIVATE",
            Code::MetadataTooMany => "METADATA TOOMANY",
            Code::NonExistent => "NONEXISTENT",
            Code::NoPerm => "NOPERM",
            Code::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Code::NotSaved => "NOTSAVED",
            Code::OverQuota => "OVERQUOTA",
            Code::Parse => "PARSE",
            Code::PrivacyRequired => "PRIVACYREQUIRED",
            Code::ServerBug => "SERVERBUG",
            Code::TryCreate => "TRYCREATE",
            Code::TooBig => "TOOBIG",
            Code::TooFew => "TOOFEW",
            Code::Unavailable => "UNAVAILABLE",
            Code::UnknownCte => "UNKNOWN-CTE",
            Code::UidNotSticky => "UIDNOTSTICKY",
            Code::UseAttr => "USEATTR",
            Code::ReadOnly => "READ-ONLY",
            Code::ReadWrite => "READ-WRITE",
            Code::NoModSeq => "NOMODSEQ",
            Code::UidRequired => "UIDREQUIRED",
            _ => "", // the ones with values are written above
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_with_values() {
        assert_eq!(Code::AppendUid(7, NumberSet::from_numbers([3, 4].into_iter())).to_string(), "APPENDUID 7 3:4");
        assert_eq!(Code::BadUrl("a\"b".into()).to_string(), "BADURL \"a\\\"b\"");
        assert_eq!(Code::TryCreate.to_string(), "TRYCREATE");
        assert_eq!(Code::MessageLimit(1000, Some(5)).to_string(), "MESSAGELIMIT 1000 5");
    }
}
