//! The state of a script while it runs, and the walk through its commands.
//!
//! Standards   RFC 5228 2.10, RFC 5229 3
//! Invariants  1. the number of steps is bounded, and the host's clock is asked   2. a failing script leaves the decision to the caller, who
//!             keeps the message (RFC 5228 2.10.6)

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::action::{Action, Outcome, Store};
use crate::check::{Call, Script, Statement, Unit};
use crate::error::{Error, Pos};
use crate::exec::{Failed, Flow};
use crate::message::Message;
use crate::settings::{Host, Settings};
use crate::testsuite::Suite;
use crate::text::{Piece, Text};

/// The SMTP envelope a script sees.
#[derive(Debug, Clone, Default)]
pub struct Envelope {
    /// Reverse-path; empty for `<>`.
    pub from: String,
    /// The recipient this delivery is for.
    pub to: String,
    /// The recipient as first given, before aliases.
    pub original_to: Option<String>,
    /// Authenticated sender.
    pub auth: Option<String>,
    /// DSN and deliver-by values (RFC 6009): lower-case part name and value.
    pub params: Vec<(String, String)>,
}

/// A running script.
pub struct Machine<'h> {
    pub(crate) host: &'h mut dyn Host,
    pub(crate) settings: Rc<Settings>,
    pub(crate) envelope: Envelope,
    pub(crate) message: Message,
    pub(crate) units: Rc<Vec<Unit>>,
    pub(crate) unit: usize,
    /// Variables of the script at hand.
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) globals: BTreeMap<String, String>,
    /// Names the script at hand declared global.
    pub(crate) declared: BTreeSet<String>,
    pub(crate) caught: Vec<String>,
    /// RFC 5232 5: the internal variable.
    pub(crate) flags: Vec<String>,
    pub(crate) actions: Vec<Action>,
    pub(crate) implicit_keep: bool,
    /// Actions a script before this one took (multiscript).
    pub(crate) earlier: usize,
    pub(crate) steps: u64,
    pub(crate) added_headers: usize,
    pub(crate) part: Option<usize>,
    /// Loops around the command at hand, those of including scripts too.
    pub(crate) loops: usize,
    /// What went wrong without ending the script.
    pub(crate) warnings: Vec<String>,
    pub(crate) once: BTreeSet<usize>,
    pub(crate) suite: Option<Box<Suite>>,
    /// Environment of the event, for imapsieve and the like.
    pub(crate) tracing: bool,
}

impl<'h> Machine<'h> {
    /// A machine for one message.
    pub fn new(host: &'h mut dyn Host, settings: &Settings, envelope: Envelope, message: Message) -> Self {
        Self {
            host,
            settings: Rc::new(settings.clone()),
            envelope,
            message,
            units: Rc::default(),
            unit: 0,
            variables: BTreeMap::new(),
            globals: BTreeMap::new(),
            declared: BTreeSet::new(),
            caught: Vec::new(),
            flags: Vec::new(),
            actions: Vec::new(),
            implicit_keep: true,
            earlier: 0,
            steps: 0,
            added_headers: 0,
            part: None,
            loops: 0,
            warnings: Vec::new(),
            once: BTreeSet::new(),
            suite: None,
            tracing: false,
        }
    }

    /// The flags that the message has already (RFC 6785 4.5).
    pub fn set_flags(&mut self, flags: &str) {
        self.flags = crate::exec::flags::parse(&[flags.to_owned()]);
    }

    /// Reports each step to [`Host::trace`].
    pub fn trace(&mut self) {
        self.tracing = true;
    }

    /// Runs a script; may be called again for a further script (before, personal, after), which then sees the edited message.
    ///
    /// # Errors
    /// The runtime error: actions of this script are undone, the message is to be kept.
    pub fn run(&mut self, script: &Script) -> Result<(), Error> {
        self.units = script.units.clone();
        self.reset_script();
        let saved = (self.actions.clone(), self.message.clone(), self.implicit_keep);
        self.earlier = self.actions.len();
        match self.run_unit(0) {
            Ok(_) => Ok(()),
            Err(failed) => {
                (self.actions, self.message, self.implicit_keep) = saved;
                Err(failed.0)
            }
        }
    }

    /// Between two scripts: whether the message is still to be kept, so that a further script may decide. An explicit keep counts as the
    /// implicit one then, which that script may cancel.
    pub fn goes_on(&mut self) -> bool {
        while let Some(at) = self.actions.iter().position(|a| matches!(a, Action::Store(s) if s.keep)) {
            if let Action::Store(Store { flags: Some(flags), .. }) = self.actions.remove(at) {
                self.flags = flags;
            }
            self.implicit_keep = true;
        }
        self.implicit_keep
    }

    fn reset_script(&mut self) {
        self.unit = 0;
        self.variables.clear();
        self.globals.clear();
        self.declared.clear();
        self.caught.clear();
        self.once.clear();
        self.part = None;
        self.loops = 0;
        self.steps = 0;
    }

    /// The actions of all scripts run, and whether the message is (also) to be kept.
    pub fn outcome(self) -> Outcome {
        Outcome {
            actions: self.actions,
            implicit_keep: self.implicit_keep,
            keep_flags: self.flags,
            message: self.message,
        }
    }

    pub(crate) fn run_unit(&mut self, at: usize) -> Result<Flow, Failed> {
        let units = self.units.clone();
        let Some(unit) = units.get(at) else { return Ok(Flow::Next) };
        self.unit = at;
        self.block(&unit.body)
    }

    pub(crate) fn block(&mut self, statements: &[Statement]) -> Result<Flow, Failed> {
        for statement in statements {
            let flow = match statement {
                Statement::Call(call) => self.command(call)?,
                Statement::If { branches, otherwise } => self.conditional(branches, otherwise)?,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn conditional(&mut self, branches: &[(Call, Vec<Statement>)], otherwise: &[Statement]) -> Result<Flow, Failed> {
        for (test, block) in branches {
            if self.test(test)? {
                return self.block(block);
            }
        }
        self.block(otherwise)
    }

    fn command(&mut self, call: &Call) -> Result<Flow, Failed> {
        self.step(call.pos)?;
        if self.tracing {
            self.host.trace(call.pos.line, call.spec.name);
        }
        match call.spec.run {
            Some(run) => run(self, call),
            None => Ok(Flow::Next),
        }
    }

    pub(crate) fn test(&mut self, call: &Call) -> Result<bool, Failed> {
        self.step(call.pos)?;
        let Some(eval) = call.spec.eval else { return Ok(false) };
        let result = eval(self, call)?;
        if self.tracing {
            self.host.trace(call.pos.line, &format!("{}: {result}", call.spec.name));
        }
        Ok(result)
    }

    fn step(&mut self, pos: Pos) -> Result<(), Failed> {
        self.steps += 1;
        if self.steps > self.settings.limits.steps || (self.steps % 64 == 1 && self.host.out_of_time()) {
            return Err(Failed::at(pos, "the script needs more time than it may have"));
        }
        Ok(())
    }

    /// Logs what does not end the script.
    pub(crate) fn warn(&mut self, text: String) {
        self.host.log(&text);
        self.warnings.push(text);
    }

    pub(crate) fn has(&self, extension: &str) -> bool {
        self.units.get(self.unit).is_some_and(|u| u.extensions.contains(extension))
    }

    /// The value of a string now.
    pub(crate) fn text(&self, text: &Text) -> String {
        if let Some(constant) = text.as_constant() {
            return constant.to_owned();
        }
        let mut out = String::new();
        for piece in text.pieces() {
            match piece {
                Piece::Literal(s) => out.push_str(s),
                Piece::Variable(name) => out.push_str(&self.variable(name)),
                Piece::Match(n) => out.push_str(self.caught.get(*n).map_or("", String::as_str)),
            }
        }
        truncated(out, self.settings.limits.variable_size.max(1 << 16))
    }

    pub(crate) fn texts(&self, list: &[Text]) -> Vec<String> {
        list.iter().map(|t| self.text(t)).collect()
    }

    pub(crate) fn variable(&self, name: &str) -> String {
        if let Some(global) = name.strip_prefix("global.") {
            return self.globals.get(global).cloned().unwrap_or_default();
        }
        if let Some(item) = name.strip_prefix("env.") {
            return crate::exec::test::environment_item(self, item).unwrap_or_default();
        }
        if self.suite.is_some() && name.starts_with("tst.") {
            return self.host.environment(name).unwrap_or_default();
        }
        let map = if self.declared.contains(name) { &self.globals } else { &self.variables };
        map.get(name).cloned().unwrap_or_default()
    }

    pub(crate) fn set_variable(&mut self, name: &str, value: String) {
        let value = truncated(value, self.settings.limits.variable_size);
        let name = name.to_ascii_lowercase();
        if let Some(global) = name.strip_prefix("global.") {
            self.globals.insert(global.to_owned(), value);
        } else if self.declared.contains(&name) {
            self.globals.insert(name, value);
        } else {
            self.variables.insert(name, value);
        }
    }

    /// Remembers what a match caught, RFC 5229 3.2: only where variables are on, at most `${0}` to `${9}` are promised.
    pub(crate) fn catch(&mut self, caught: Vec<String>) {
        if !caught.is_empty() && self.has("variables") {
            self.caught = caught;
            self.caught.truncate(33);
        }
    }
}

/// Cuts at a character border.
pub(crate) fn truncated(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let mut at = limit;
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.truncate(at);
    }
    text
}
