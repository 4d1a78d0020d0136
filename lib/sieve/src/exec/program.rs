//! pipe, filter, execute.
//!
//! Standards   spec-bosch-sieve-extprograms
//! Invariants  program names are plain names: the host looks in the administrator's directory only; arguments have no control characters

use super::{Failed, Flow, action};
use crate::action::Action;
use crate::check::Call;
use crate::machine::Machine;
use crate::message::Message;
use crate::settings::ProgramKind;

fn command(m: &Machine<'_>, call: &Call) -> Result<(String, Vec<String>), Failed> {
    let name = m.text(call.text(0));
    let args = m.texts(call.list(1));
    if !valid_program(&name) {
        return Err(Failed::at(call.pos, format!("invalid program name '{}'", crate::check::printable(&name))));
    }
    if args.iter().any(|a| !valid_argument(a)) {
        return Err(Failed::at(call.pos, "an argument has a character it may not have"));
    }
    Ok((name, args))
}

/// Name of a program in a directory, no path.
pub(crate) fn valid_program(name: &str) -> bool {
    let bad = |c: char| c.is_control() || matches!(c, '/' | '\u{2028}' | '\u{2029}');
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && !name.chars().any(bad)
}

pub(crate) fn valid_argument(text: &str) -> bool {
    text.len() <= 1024 && !text.contains(['\0', '\r', '\n'])
}

/// `pipe`: an action.
pub(crate) fn pipe(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let (program, args) = command(m, call)?;
    let message = m.message.clone();
    action::add(m, call, Action::Pipe { program, args, try_only: call.has("try"), message })?;
    if !call.has("copy") {
        m.implicit_keep = false;
    }
    Ok(Flow::Next)
}

/// `filter` as a test: true if the message was replaced; a program that is not there is a failure like any other.
pub(crate) fn filter(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let (program, args) = command(m, call)?;
    run_filter(m, &program, &args).or_else(|text| {
        m.warn(text);
        Ok(false)
    })
}

fn run_filter(m: &mut Machine<'_>, program: &str, args: &[String]) -> Result<bool, String> {
    let input = m.message.bytes().to_vec();
    let ran = m.host.run_program(ProgramKind::Filter, program, args, Some(&input))?;
    let replaced = ran.success && !ran.output.is_empty();
    if replaced {
        m.message = Message::new(ran.output);
    }
    Ok(replaced)
}

/// `filter` as a command: a program that fails changes nothing.
pub(crate) fn filter_command(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let (program, args) = command(m, call)?;
    run_filter(m, &program, &args).map(|_| Flow::Next).map_err(|text| Failed::at(call.pos, text))
}

/// `execute` as a test: true if the program said so by its code; a program that is not there did not.
pub(crate) fn execute(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    run_execute(m, call)?.or_else(|text| {
        m.warn(text);
        Ok(false)
    })
}

fn run_execute(m: &mut Machine<'_>, call: &Call) -> Result<Result<bool, String>, Failed> {
    let (program, args) = command(m, call)?;
    let input = if call.has("pipe") {
        Some(m.message.bytes().to_vec())
    } else {
        call.text_tag("input").map(|t| m.text(t).into_bytes())
    };
    let ran = m.host.run_program(ProgramKind::Execute, &program, &args, input.as_deref());
    let ran = match ran {
        Ok(ran) => ran,
        Err(text) => return Ok(Err(text)),
    };
    if let Some(variable) = call.text_tag("output") {
        let name = m.text(variable);
        let output = if ran.success { String::from_utf8_lossy(&ran.output).into_owned() } else { String::new() };
        m.set_variable(&name, output);
    }
    Ok(Ok(ran.success))
}

/// `execute` as a command.
pub(crate) fn execute_command(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    run_execute(m, call)?.map(|_| Flow::Next).map_err(|text| Failed::at(call.pos, text))
}
