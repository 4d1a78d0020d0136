//! include, return, global.
//!
//! Standards   RFC 6609
//! Invariants  each script has its own variables; what it declares global is shared

use super::{Failed, Flow};
use crate::check::Call;
use crate::machine::Machine;

/// RFC 6609 3.2.
pub(crate) fn include(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let Some(unit) = call.unit else { return Ok(Flow::Next) };
    if call.has("once") && m.once.contains(&unit) {
        return Ok(Flow::Next);
    }
    m.once.insert(unit);
    let own =
        (std::mem::take(&mut m.variables), std::mem::take(&mut m.declared), m.unit, std::mem::take(&mut m.caught));
    let flow = m.run_unit(unit);
    (m.variables, m.declared, m.unit, m.caught) = own;
    match flow? {
        Flow::Return => Ok(Flow::Next),
        flow => Ok(flow),
    }
}

/// RFC 6609 3.3.
pub(crate) fn return_(_: &mut Machine<'_>, _: &Call) -> Result<Flow, Failed> {
    Ok(Flow::Return)
}

/// RFC 6609 3.4.1.
pub(crate) fn global(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    for name in m.texts(call.list(0)) {
        m.declared.insert(name.to_ascii_lowercase());
    }
    Ok(Flow::Next)
}
