//! What is kept of messages so that list views, SORT and THREAD need not read the files again.
//!
//! Format      field 1: the header fields of [`FIELDS`] as they stand, with a closing empty line; 2: BODYSTRUCTURE; 3: BODY;
//!             4: PREVIEW; 5: ENVELOPE; 6: EMAILID, each as this program would send it (pennypost-maildir(5) lists the numbers)
//! Invariants  a value is exactly what reading the message would give: messages never change
use super::loaded::{Part, read_part};
use penny_imap::command::Item;
use penny_imap::render::{View, body_structure, envelope, preview};
use penny_maildir::Error;
use penny_maildir::mailbox::Mailbox;
use penny_mime::Fields;

/// Cache field of the list header.
const LIST: u16 = 1;

/// Header fields that clients show in lists or sort and thread by.
pub const FIELDS: [&str; 22] = [
    "Date",
    "Subject",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "In-Reply-To",
    "Message-ID",
    "References",
    "Content-Type",
    "MIME-Version",
    "Importance",
    "Priority",
    "X-Priority",
    "List-Id",
    "List-Post",
    "List-Unsubscribe",
    "Newsgroups",
    "Content-Transfer-Encoding",
    "Disposition-Notification-To",
];

/// Whether a field is kept.
pub fn is_kept(name: &[u8]) -> bool {
    FIELDS.iter().any(|f| f.as_bytes().eq_ignore_ascii_case(name))
}

/// The cache field of an item that is kept whole, and what making it needs.
pub fn field_of(item: &Item) -> Option<(u16, Part)> {
    match item {
        Item::BodyStructure => Some((2, Part::Whole)),
        Item::Body => Some((3, Part::Whole)),
        Item::Preview { .. } => Some((4, Part::Whole)),
        Item::Envelope => Some((5, Part::List)),
        Item::EmailId => Some((6, Part::Whole)),
        _ => None,
    }
}

/// The kept header fields of a message.
pub fn list_header(mailbox: &mut Mailbox, uid: u32, bytes: &mut Vec<u8>) -> Result<(), Error> {
    if let Some(kept) = mailbox.cached(uid, LIST) {
        bytes.clear();
        bytes.extend_from_slice(kept);
        return Ok(());
    }
    read_part(mailbox, uid, Part::Header, bytes)?;
    let mut kept = Vec::with_capacity(512);
    for field in Fields::new(bytes).filter(|f| is_kept(f.name)) {
        kept.extend_from_slice(field.raw);
        if !field.raw.ends_with(b"\n") {
            kept.push(b'\n');
        }
    }
    kept.push(b'\n');
    mailbox.learned_sent(uid, penny_imap::sort::date_field(&kept));
    mailbox.cache(uid, LIST, &kept);
    *bytes = kept;
    Ok(())
}

/// RFC 5256 2.2: the sent date, INTERNALDATE where the message tells none. `buffer` may be used again.
pub fn sent_date(mailbox: &mut Mailbox, uid: u32, buffer: &mut Vec<u8>) -> Result<i64, Error> {
    let told = match mailbox.sent(uid) {
        Some(told) => told,
        None => {
            list_header(mailbox, uid, buffer)?;
            let told = penny_imap::sort::date_field(buffer);
            mailbox.learned_sent(uid, told);
            told
        }
    };
    told.map_or_else(|| mailbox.internal_date(uid), Ok)
}

/// The value of an item that is kept whole, from the message.
pub fn made(item: &Item, view: &View<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match item {
        Item::Envelope => envelope(&mut out, view.header()),
        Item::EmailId => out.extend_from_slice(content_id(view.bytes()).as_bytes()),
        Item::Preview { .. } => out.extend_from_slice(preview(view).as_bytes()),
        _ => body_structure(&mut out, view.bytes(), view.structure(), *item == Item::BodyStructure),
    }
    out
}

/// RFC 8474 5.1: an id of the content, so that copies have the same one whatever made them.
fn content_id(message: &[u8]) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(message);
    digest.iter().take(16).fold(String::from("M"), |text, b| text + &format!("{b:02x}"))
}

/// The EMAILID of a message; empty when it cannot be read.
pub fn email_id(mailbox: &mut Mailbox, uid: u32) -> Vec<u8> {
    let Some((field, part)) = field_of(&Item::EmailId) else { return Vec::new() };
    if let Some(kept) = mailbox.cached(uid, field) {
        return kept.to_vec();
    }
    let mut bytes = Vec::new();
    if read_part(mailbox, uid, part, &mut bytes).is_err() {
        return Vec::new();
    }
    let id = made(&Item::EmailId, &View::new(&bytes));
    mailbox.cache(uid, field, &id);
    id
}
