//! The fields a final delivery adds, and the loop check on them.
//!
//! Standards   RFC 5321 4.4 (Return-Path, at final delivery, once); Delivered-To as qmail and Postfix write it
//! Invariants  no envelope value can make a second line: envelope types hold no control characters

use std::io::{self, Read, Write};

use penny_base::{Failure, Kind};
use penny_mime::Fields;

use crate::context::Context;
use crate::mail::buffer_size;

/// `Return-Path: <...>` and `Delivered-To: ...`, LF line ends.
pub fn added(context: &Context) -> String {
    format!("Return-Path: <{}>\nDelivered-To: {}\n", context.sender(), context.recipient())
}

/// A message that already was here comes back for ever: refused, RFC 5321 6.3.
///
/// Postfix's local(8) and getmail write Delivered-To before they call us: by hand, what stands above the first Received was
/// written by our caller and tells of no earlier round.
pub fn check_loop(context: &Context) -> Result<(), Failure> {
    let ours = context.recipient();
    let mut fields = Fields::new(context.mail.header()).skip_while(|f| context.by_hand && !f.is("received"));
    let seen = fields
        .any(|f| f.is("delivered-to") && String::from_utf8_lossy(&f.unfolded()).trim().eq_ignore_ascii_case(ours));
    if seen {
        return Err(Failure::permanent(Kind::Unavailable, "5.4.6", "mail forwarding loop").with_detail(ours.to_owned()));
    }
    Ok(())
}

/// What stands above a message in a Maildir. Without Delivered-To it is the same for all recipients.
pub fn filed(context: &Context) -> String {
    if context.config.deliver.delivered_to {
        return added(context);
    }
    format!("Return-Path: <{}>\n", context.sender())
}

/// Writes the message as programs and mbox files get it: our fields, then everything but Return-Path fields of the message itself.
pub fn write_stored(context: &Context, out: &mut impl Write) -> io::Result<()> {
    out.write_all(added(context).as_bytes())?;
    write_original(context, out)
}

/// The message without Return-Path fields.
pub fn write_original(context: &Context, out: &mut impl Write) -> io::Result<()> {
    let header = context.mail.header();
    let mut from = 0;
    for field in Fields::new(header).filter(|f| f.is("return-path")) {
        out.write_all(header.get(from..field.start).unwrap_or_default())?;
        from = field.end;
    }
    out.write_all(header.get(from..).unwrap_or_default())?;
    let mut body = context.mail.body();
    let mut chunk = vec![0; buffer_size(context.mail.body_size(), 64)];
    loop {
        match body.read(&mut chunk)? {
            0 => return Ok(()),
            n => out.write_all(chunk.get(..n).unwrap_or_default())?,
        }
    }
}

/// The stored form as a file at offset 0, for programs.
pub fn stored_file(context: &Context) -> io::Result<std::fs::File> {
    use std::io::Seek;
    let small = context.mail.size() < 1 << 20;
    let mut file = match small {
        true => penny_sys::fs::memory_file("message")?,
        false => penny_sys::fs::tmpfile(&context.owner.maildir.join("tmp"), 0o600)
            .or_else(|_| penny_sys::fs::memory_file("message"))?,
    };
    write_stored(context, &mut file)?;
    file.rewind()?;
    Ok(file)
}
