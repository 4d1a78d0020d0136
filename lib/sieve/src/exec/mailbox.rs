//! Mailboxes and metadata.
//!
//! Standards   RFC 5490, RFC 8579 3, RFC 9042 5

use super::{Failed, matches};
use crate::check::Call;
use crate::machine::Machine;

/// RFC 5490 3.1.
pub(crate) fn mailboxexists(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let names = m.texts(call.list(0));
    Ok(names.iter().all(|n| m.host.mailbox_exists(n)))
}

/// RFC 5490 3.3.
pub(crate) fn metadata(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let (mailbox, name) = (m.text(call.text(0)), m.text(call.text(1)));
    let Some(value) = m.host.metadata(Some(&mailbox), &name) else { return Ok(false) };
    matches(m, call, &[value], call.list(2))
}

/// RFC 5490 3.4.
pub(crate) fn metadataexists(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let mailbox = m.text(call.text(0));
    let names = m.texts(call.list(1));
    Ok(names.iter().all(|n| m.host.metadata(Some(&mailbox), n).is_some()))
}

/// RFC 5490 4.1.
pub(crate) fn servermetadata(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let name = m.text(call.text(0));
    let Some(value) = m.host.metadata(None, &name) else { return Ok(false) };
    matches(m, call, &[value], call.list(1))
}

/// RFC 5490 4.2.
pub(crate) fn servermetadataexists(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let names = m.texts(call.list(0));
    Ok(names.iter().all(|n| m.host.metadata(None, n).is_some()))
}

/// RFC 8579 3.
pub(crate) fn specialuse_exists(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let mailbox = call.given(0).then(|| m.text(call.text(0)));
    let flags = m.texts(call.list(1));
    Ok(flags.iter().all(|f| m.host.special_use(mailbox.as_deref(), f)))
}

/// RFC 9042 5.
pub(crate) fn mailboxidexists(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let ids = m.texts(call.list(0));
    Ok(ids.iter().all(|id| m.host.mailbox_by_id(id).is_some()))
}
