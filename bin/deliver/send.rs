//! Passing the message on, through enqueue.
//!
//! Standards   RFC 5321 3.9.1 (alias: the sender stays), RFC 3461 5.2.7 (DSN parameters travel with an alias of one)
//! Invariants  success means the queue has it (Q1)   2. Delivered-To is added, so a loop ends at its second round

use penny_base::{Failure, log};
use penny_queue::{Address, Enqueue, Envelope, Line, Message, Param, Recipient, Sender};
use penny_sieve::Outgoing;

use crate::context::Context;
use crate::fields;

/// Forwards to addresses in one queue entry.
pub fn forward(context: &Context, addresses: &[String]) -> Result<(), Failure> {
    if addresses.is_empty() {
        return Ok(());
    }
    let mut recipients = Vec::new();
    for text in addresses {
        let mut recipient = Recipient::plain(address(&qualified(context, text))?);
        if let (1, Some(own)) = (addresses.len(), context.recipient_entry()) {
            recipient.params = own.params.clone();
        }
        recipients.push(recipient);
    }
    let mut envelope =
        Envelope { recipients, junk: None, hold: None, id: None, client_uid: None, ..context.envelope.clone() };
    let mut content = Vec::new();
    fields::write_original(context, &mut content).map_err(|e| Failure::io("read message", &e))?;
    let name = pass_on(context, &mut envelope, &content)?;
    log::info("forwarded", context.id(), &[("user", &context.owner.user), ("to", &addresses.join(",")), ("as", &name)]);
    Ok(())
}

/// Commits what is another's message still, and says so to qrun: it may have to rewrite the sender, and seals instead of
/// signing.
fn pass_on(context: &Context, envelope: &mut Envelope, content: &[u8]) -> Result<String, Failure> {
    let by = Line::new(penny_queue::envelope::FORWARDED_BY).zip(Line::new(context.recipient()));
    envelope.extra.retain(|(name, _)| name.as_str() != penny_queue::envelope::FORWARDED_BY);
    envelope.extra.extend(by);
    let added = format!("Delivered-To: {}\n", context.recipient());
    commit(context, envelope, added.as_bytes(), content)
}

/// A message that a script sends on, changed or not.
pub fn redirect(context: &Context, out: &Outgoing) -> Result<(), Failure> {
    pass_on(context, &mut addressed(out)?, &without_cr(&out.message)).map(drop)
}

/// A new message of our own making.
pub fn new_mail(context: &Context, out: &Outgoing) -> Result<(), Failure> {
    commit(context, &addressed(out)?, b"", &without_cr(&out.message)).map(drop)
}

fn addressed(out: &Outgoing) -> Result<Envelope, Failure> {
    let params = |list: &[String]| list.iter().filter_map(|p| Param::parse(p)).collect::<Vec<_>>();
    let recipients = out
        .to
        .iter()
        .map(|a| address(a).map(|address| Recipient { params: params(&out.rcpt_params), ..Recipient::plain(address) }))
        .collect::<Result<Vec<_>, _>>()?;
    let sender = Sender { address: address_or_null(&out.from)?, params: params(&out.mail_params) };
    let arrival = penny_sys::time::now();
    let arrival = (arrival.as_secs(), arrival.subsec_micros());
    Ok(Envelope { arrival, sender, recipients, ..Envelope::default() })
}

fn commit(context: &Context, envelope: &Envelope, added: &[u8], content: &[u8]) -> Result<String, Failure> {
    let mut enqueue = Enqueue::connect(&context.config, None).map_err(|e| Failure::io("connect to enqueue", &e))?;
    if content.len() <= penny_queue::client::INLINE_MAX {
        return enqueue.commit(envelope, added, Message::Bytes(content)).map(|n| n.to_string());
    }
    let mut spool = penny_queue::Spool::new();
    spool.write(&mut enqueue, content).map_err(|e| Failure::io("spool", &e))?;
    enqueue.commit(envelope, added, spool.message()).map(|n| n.to_string())
}

fn without_cr(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|&b| b == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(text) => out.extend(text.iter().filter(|&&b| b != b'\r').chain(b"\n")),
            None => out.extend(line.iter().filter(|&&b| b != b'\r')),
        }
    }
    out
}

/// A name without domain is one of the recipient's domain.
fn qualified(context: &Context, text: &str) -> String {
    if text.contains('@') {
        return text.to_owned();
    }
    let (_, domain) = context.parts();
    if domain.is_empty() { text.to_owned() } else { format!("{text}@{domain}") }
}

fn address(text: &str) -> Result<Address, Failure> {
    let address = Address::new(text).filter(|a| !a.is_empty());
    address
        .ok_or_else(|| Failure::temporary("4.3.5", "a forwarding address is not usable").with_detail(text.to_owned()))
}

fn address_or_null(text: &str) -> Result<Address, Failure> {
    if text.is_empty() { Ok(Address::null()) } else { address(text) }
}
