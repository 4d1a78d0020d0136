//! keep, fileinto, redirect, discard, reject; the rules actions obey together.
//!
//! Standards   RFC 5228 2.10 and 4; RFC 3894; RFC 5429 2.4 (conflicts); RFC 5490 3.2; RFC 6009 4; RFC 6134 2.5; RFC 8579 4; RFC 9042 4
//! Invariants  the same mailbox or address is served once (RFC 5228 2.10.3)

use super::{Failed, Flow, flags};
use crate::action::{Action, Outgoing, OutgoingKind, Store};
use crate::address::Mailbox;
use crate::check::Call;
use crate::machine::Machine;
use crate::settings::EnvelopeFrom;

/// RFC 5228 4.3.
pub(crate) fn keep(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let store = Store {
        mailbox: "INBOX".into(),
        flags: flags::for_action(m, call),
        create: false,
        special_use: None,
        mailbox_id: None,
        keep: true,
        message: m.message.clone(),
    };
    add_store(m, call, store)?;
    m.implicit_keep = false;
    Ok(Flow::Next)
}

/// RFC 5228 4.4.
pub(crate) fn discard(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    add(m, call, Action::Discard)?;
    m.implicit_keep = false;
    Ok(Flow::Next)
}

/// RFC 5228 4.1.
pub(crate) fn fileinto(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let store = store_of(m, call, call.text(0))?;
    add_store(m, call, store)?;
    if !call.has("copy") {
        m.implicit_keep = false;
    }
    Ok(Flow::Next)
}

/// Target of fileinto and :fcc with the tags that go with it.
pub(crate) fn store_of(m: &Machine<'_>, call: &Call, name: &crate::text::Text) -> Result<Store, Failed> {
    let mailbox = m.text(name);
    if !valid_mailbox(&mailbox) {
        return Err(Failed::at(call.pos, format!("invalid folder name '{}'", crate::check::printable(&mailbox))));
    }
    Ok(Store {
        mailbox,
        flags: flags::for_action(m, call),
        create: call.has("create"),
        special_use: call.text_tag("specialuse").map(|t| m.text(t)),
        mailbox_id: call.text_tag("mailboxid").map(|t| m.text(t)),
        keep: false,
        message: m.message.clone(),
    })
}

/// Something that can be the name of a mailbox at all.
pub(crate) fn valid_mailbox(name: &str) -> bool {
    // U+FFFD stands where a script made octets that are no UTF-8
    !name.is_empty() && name.len() <= 1000 && !name.chars().any(|c| c.is_control() || c == '\u{fffd}')
}

fn add_store(m: &mut Machine<'_>, call: &Call, store: Store) -> Result<(), Failed> {
    refuse_with_reject(m, call)?;
    let same = |a: &Action| matches!(a, Action::Store(s) if same_mailbox(&s.mailbox, &store.mailbox) && s.message.same(&store.message));
    if let Some(Action::Store(old)) = m.actions.iter_mut().find(|a| same(a)) {
        // filed once, with the flags of the last word
        if store.flags.is_some() {
            old.flags = store.flags;
        }
        old.create |= store.create;
        old.keep |= store.keep;
        return Ok(());
    }
    add(m, call, Action::Store(store))
}

fn same_mailbox(a: &str, b: &str) -> bool {
    a == b || (a.eq_ignore_ascii_case("INBOX") && b.eq_ignore_ascii_case("INBOX"))
}

/// Adds an action within the limits.
pub(crate) fn add(m: &mut Machine<'_>, call: &Call, action: Action) -> Result<(), Failed> {
    let limit = m.settings.limits.actions;
    if m.actions.len() - m.earlier.min(m.actions.len()) >= limit {
        return Err(Failed::at(call.pos, format!("total number of actions exceeds policy limit ({limit})")));
    }
    m.actions.push(action);
    Ok(())
}

/// The actions of the script at hand: those before it are another script's business.
pub(crate) fn own<'m>(m: &'m Machine<'_>) -> &'m [Action] {
    m.actions.get(m.earlier..).unwrap_or_default()
}

/// RFC 5429 2.4: reject goes with no delivery.
fn refuse_with_reject(m: &Machine<'_>, call: &Call) -> Result<(), Failed> {
    if own(m).iter().any(|a| matches!(a, Action::Reject { .. })) {
        return Err(Failed::at(call.pos, format!("{} conflicts with an earlier reject", call.spec.name)));
    }
    Ok(())
}

/// RFC 5228 4.2.
pub(crate) fn redirect(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    refuse_with_reject(m, call)?;
    let mut to = targets(m, call)?;
    let is_redirect = |a: &Action| matches!(a, Action::Send(o) if o.kind == OutgoingKind::Redirect);
    let served = |to: &String| {
        let has = |a: &Action| matches!(a, Action::Send(o) if o.to.iter().any(|t| t.eq_ignore_ascii_case(to)));
        m.actions.iter().any(|a| is_redirect(a) && has(a))
    };
    to.retain(|t| !served(t));
    if !call.has("copy") {
        m.implicit_keep = false;
    }
    if to.is_empty() {
        return Ok(Flow::Next);
    }
    if has_looped(m) {
        m.host.log("redirect: the message was redirected by this mailbox before; not again");
        return Ok(Flow::Next);
    }
    let limit = m.settings.limits.redirects;
    if m.actions.iter().filter(|a| is_redirect(a)).count() >= limit {
        return Err(Failed::at(call.pos, format!("number of redirect actions exceeds policy limit ({limit})")));
    }
    let (mail_params, rcpt_params) = esmtp(m, call)?;
    let from = redirect_sender(m);
    let message = redirected(m);
    let out = Outgoing { kind: OutgoingKind::Redirect, from, to, mail_params, rcpt_params, message, fcc: None };
    add(m, call, Action::Send(out))?;
    Ok(Flow::Next)
}

/// Where the message goes: one address, or with `:list` the entries of a list that are addresses (RFC 6134 2.5).
fn targets(m: &Machine<'_>, call: &Call) -> Result<Vec<String>, Failed> {
    let text = m.text(call.text(0));
    let shown = crate::check::printable(&text);
    if !call.has("list") {
        let address = Mailbox::parse(&text);
        let address = address.ok_or_else(|| Failed::at(call.pos, format!("invalid address '{shown}'")))?;
        return Ok(vec![address.to_string()]);
    }
    let members = m.host.list_members(&text);
    let members = members.ok_or_else(|| Failed::at(call.pos, format!("list '{shown}' does not exist")))?;
    let mut to: Vec<String> = members.iter().filter_map(|a| Mailbox::parse(a)).map(|a| a.to_string()).collect();
    to.sort_by_key(|a| a.to_lowercase());
    to.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    let limit = m.settings.limits.list_members;
    if to.len() > limit {
        return Err(Failed::at(call.pos, format!("list '{shown}' has more than {limit} addresses")));
    }
    Ok(to)
}

/// Was the message redirected from one of this owner's addresses already?
fn has_looped(m: &Machine<'_>) -> bool {
    let own = [Some(m.envelope.to.clone()), m.envelope.original_to.clone(), m.settings.user_address.clone()];
    let before = m.message.values(0, "X-Sieve-Redirected-From");
    before.iter().any(|b| own.iter().flatten().any(|o| !o.is_empty() && o.eq_ignore_ascii_case(b.trim())))
}

/// The message with a trace of who sent it on.
fn redirected(m: &Machine<'_>) -> Vec<u8> {
    let owner = m.settings.user_address.as_ref().unwrap_or(&m.envelope.to);
    let from: String = owner.chars().filter(|c| !c.is_control()).collect();
    let field = penny_mime::build::fold("X-Sieve-Redirected-From", from.as_bytes(), m.message.eol());
    let own = penny_mime::build::fold("X-Sieve", crate::PRODUCT.as_bytes(), m.message.eol());
    m.message.with_field(&[own, field].concat(), false).bytes().to_vec()
}

/// A message without return path stays without one: no bounce of a bounce.
fn redirect_sender(m: &Machine<'_>) -> String {
    if m.envelope.from.is_empty() {
        return String::new();
    }
    sender(m, &m.settings.redirect_from)
}

/// The address a setting names.
pub(crate) fn sender(m: &Machine<'_>, from: &EnvelopeFrom) -> String {
    match from {
        EnvelopeFrom::Sender => m.envelope.from.clone(),
        EnvelopeFrom::Recipient => m.envelope.to.clone(),
        EnvelopeFrom::OriginalRecipient => m.envelope.original_to.clone().unwrap_or_else(|| m.envelope.to.clone()),
        EnvelopeFrom::User => m.settings.user_address.clone().unwrap_or_else(|| m.envelope.to.clone()),
        EnvelopeFrom::Postmaster => m.settings.postmaster.clone(),
        EnvelopeFrom::Fixed(address) => address.clone(),
    }
}

/// RFC 6009 4 and 5.
fn esmtp(m: &Machine<'_>, call: &Call) -> Result<(Vec<String>, Vec<String>), Failed> {
    let (mut mail, mut rcpt) = (Vec::new(), Vec::new());
    let word =
        |text: String| text.to_ascii_uppercase().split(',').map(|w| w.trim().to_owned()).collect::<Vec<_>>().join(",");
    if let Some(notify) = call.text_tag("notify") {
        rcpt.push(format!("NOTIFY={}", word(m.text(notify))));
    }
    if let Some(ret) = call.text_tag("ret") {
        mail.push(format!("RET={}", word(m.text(ret))));
    }
    let seconds = match (call.number_tag("bytimerelative"), call.text_tag("bytimeabsolute")) {
        (Some(n), _) => Some(i64::try_from(n).unwrap_or(i64::MAX)),
        (None, Some(text)) => {
            let text = m.text(text);
            let at = super::date::parse_iso(&text)
                .ok_or_else(|| Failed::at(call.pos, format!("not a time: '{}'", crate::check::printable(&text))))?;
            Some(at - m.host.now())
        }
        (None, None) => None,
    };
    if let Some(seconds) = seconds {
        // RFC 2852 4: nine digits
        let seconds = seconds.clamp(-999_999_999, 999_999_999);
        let mode = call.text_tag("bymode").map_or_else(|| "N".to_owned(), |t| m.text(t).to_ascii_uppercase());
        let mode = if mode.starts_with('R') { "R" } else { "N" };
        let trace = if call.has("bytrace") { "T" } else { "" };
        mail.push(format!("BY={seconds};{mode}{trace}"));
    }
    Ok((mail, rcpt))
}

/// RFC 5429 2.1 and 2.2.
pub(crate) fn reject(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    if m.actions.iter().take(m.earlier).any(|a| matches!(a, Action::Reject { .. })) {
        // an earlier script has refused it already
        m.implicit_keep = false;
        return Ok(Flow::Next);
    }
    let clash = own(m)
        .iter()
        .find(|a| matches!(a, Action::Store(_) | Action::Send(_) | Action::Reject { .. } | Action::Pipe { .. }));
    if let Some(other) = clash {
        return Err(Failed::at(call.pos, format!("{} conflicts with an earlier {}", call.spec.name, other.name())));
    }
    let reason = m.text(call.text(0));
    add(m, call, Action::Reject { reason, extended: call.spec.name == "ereject" })?;
    m.implicit_keep = false;
    Ok(Flow::Next)
}
