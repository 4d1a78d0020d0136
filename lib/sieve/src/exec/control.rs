//! Control and constants.
//!
//! Standards   RFC 5228 3.3, 5.2, 5.3, 5.8, 5.10; RFC 5463; spec-bosch-sieve-debug

use super::{Failed, Flow};
use crate::check::Call;
use crate::machine::Machine;

/// RFC 5228 3.3.
pub(crate) fn stop(_: &mut Machine<'_>, _: &Call) -> Result<Flow, Failed> {
    Ok(Flow::Stop)
}

/// RFC 5228 5.2.
pub(crate) fn allof(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    for test in &call.tests {
        if !m.test(test)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// RFC 5228 5.3.
pub(crate) fn anyof(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    for test in &call.tests {
        if m.test(test)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// RFC 5228 5.8.
pub(crate) fn not(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    match call.tests.first() {
        Some(test) => Ok(!m.test(test)?),
        None => Ok(true),
    }
}

/// RFC 5228 5.10.
pub(crate) fn always(_: &mut Machine<'_>, _: &Call) -> Result<bool, Failed> {
    Ok(true)
}

/// RFC 5228 5.6.
pub(crate) fn never(_: &mut Machine<'_>, _: &Call) -> Result<bool, Failed> {
    Ok(false)
}

/// RFC 5463 4: decided when the script was checked; what was not there made the branch vanish, so what runs is there.
pub(crate) fn ihave(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let names = m.texts(call.list(0));
    Ok(names.iter().all(|n| m.has(n)))
}

/// RFC 5463 5.
pub(crate) fn error(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    Err(Failed::at(call.pos, format!("error: {}", m.text(call.text(0)))))
}

/// spec-bosch-sieve-debug.
pub(crate) fn debug_log(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let text = m.text(call.text(0));
    m.host.log(&format!("debug: {text}"));
    Ok(Flow::Next)
}
