//! Commands of a test suite: scripts that test this engine (`sieve --testsuite`), in the vocabulary of Pigeonhole's own suite.
//!
//! Format      `.svtest` files: Sieve with `test`, `test_fail`, `test_set`, `test_script_compile`, `test_result_execute` ...
//! Invariants  nothing leaves the process: mail and mailboxes are lists in memory; only the programs of the suite's own directory run
//! Not here    no command of a user's script: the extension is not available to those

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::action::{Action, Store};
use crate::check::{self, Call, Library, Location, Script};
use crate::exec::{Failed, Flow, matches};
use crate::machine::{Envelope, Machine};
use crate::message::Message;
use crate::settings::{Host, ProgramKind, Ran, Settings, SuiteProgram};
use crate::suite_config;

/// What a test file came to.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// Name of each test, with the reason of its failure.
    pub tests: Vec<(String, Option<String>)>,
    /// The file itself could not be used.
    pub broken: Option<String>,
}

impl Report {
    /// Everything in the file passed.
    pub fn passed(&self) -> bool {
        self.broken.is_none() && self.tests.iter().all(|(_, failure)| failure.is_none())
    }
}

/// What was sent.
#[derive(Debug, Clone)]
struct Sent {
    from: String,
    to: String,
    message: Message,
}

/// The world of a test: shared by the suite and the host it shows to scripts.
#[derive(Debug, Default)]
struct World {
    /// Of the message at hand, for programs.
    envelope: Envelope,
    sent: Vec<Sent>,
    mailboxes: BTreeMap<String, Vec<(Message, Vec<String>)>>,
    metadata: BTreeMap<(Option<String>, String), String>,
    duplicates: BTreeSet<String>,
    config: BTreeMap<String, String>,
    counter: u64,
}

/// State of a test file at work.
pub(crate) struct Suite {
    world: Rc<RefCell<World>>,
    report: Report,
    failed: bool,
    script: Option<Script>,
    errors: Vec<String>,
    executed: usize,
    kept: bool,
    defaults: Settings,
    /// The message before any script changed it.
    original: Message,
}

/// The host scripts see: the suite's world over the real one (clock, files, programs).
struct SuiteHost<'a> {
    world: Rc<RefCell<World>>,
    outer: &'a mut dyn Host,
    directory: String,
    host: String,
}

/// The same lines with other ends.
fn with_eol(bytes: &[u8], eol: &[u8]) -> Vec<u8> {
    let lines = bytes.split_inclusive(|b| *b == b'\n');
    let one = |line: &[u8]| match line.strip_suffix(b"\n") {
        Some(text) => [text.strip_suffix(b"\r").unwrap_or(text), eol].concat(),
        None => line.to_vec(),
    };
    lines.flat_map(one).collect()
}

impl Host for SuiteHost<'_> {
    fn now(&self) -> i64 {
        self.outer.now()
    }

    fn zone(&self, moment: i64) -> i32 {
        self.outer.zone(moment)
    }

    fn environment(&self, name: &str) -> Option<String> {
        if let Some(item) = name.strip_prefix("tst.") {
            return (item == "path").then(|| self.directory.clone());
        }
        if let Some(item) = name.strip_prefix("vnd.dovecot.config.") {
            let world = self.world.borrow();
            let names = [format!("sieve_environment/{item}"), format!("sieve_env_{item}")];
            return Some(names.iter().find_map(|n| world.config.get(n)).cloned().unwrap_or_default());
        }
        // RFC 5183 4.1: where the mail is stored, which the mailboxes of the suite are
        if name == "location" {
            return Some("MS".into());
        }
        self.outer.environment(name)
    }

    fn mailbox_exists(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("INBOX") || self.world.borrow().mailboxes.contains_key(name)
    }

    fn metadata(&self, mailbox: Option<&str>, name: &str) -> Option<String> {
        if mailbox.is_some_and(|m| !self.mailbox_exists(m)) {
            return None;
        }
        self.world.borrow().metadata.get(&(mailbox.map(str::to_owned), name.to_ascii_lowercase())).cloned()
    }

    fn special_use(&self, mailbox: Option<&str>, flag: &str) -> bool {
        self.outer.special_use(mailbox, flag)
    }

    fn duplicate_seen(&self, key: &str) -> bool {
        self.world.borrow().duplicates.contains(key)
    }

    fn list_members(&self, list: &str) -> Option<Vec<String>> {
        suite_config::list_members(&self.world.borrow().config, list, &|path| self.outer.suite_script(path))
    }

    fn run_program(
        &mut self,
        kind: ProgramKind,
        name: &str,
        args: &[String],
        input: Option<&[u8]>,
    ) -> Result<Ran, String> {
        let key = format!("sieve_{}_bin_dir", kind.name());
        let directory = self.world.borrow().config.get(&key).cloned();
        let directory = directory.ok_or_else(|| format!("program '{name}' is not available"))?;
        let world = self.world.clone();
        let world = world.borrow();
        let option = |key: &str| world.config.get(&format!("sieve_{}_{key}", kind.name())).map(String::as_str);
        let input = match (input, option("input_eol")) {
            (Some(bytes), Some("crlf")) => Some(with_eol(bytes, b"\r\n")),
            (Some(bytes), Some("lf")) => Some(with_eol(bytes, b"\n")),
            (bytes, _) => bytes.map(<[u8]>::to_vec),
        };
        let seconds = option("exec_timeout").and_then(suite_config::parse_time).unwrap_or(10);
        let e = &world.envelope;
        let original = e.original_to.as_ref().unwrap_or(&e.to);
        let variables: [(&str, &str); 4] =
            [("SENDER", &e.from), ("RECIPIENT", &e.to), ("ORIG_RECIPIENT", original), ("HOST", &self.host)];
        let path = format!("{directory}/{name}");
        let input = input.as_deref();
        self.outer.suite_program(&SuiteProgram { path: &path, args, input, variables: &variables, seconds })
    }

    fn log(&mut self, text: &str) {
        self.outer.log(text);
    }

    fn trace(&mut self, line: u32, text: &str) {
        self.outer.trace(line, text);
    }

    fn unique(&mut self) -> String {
        let mut world = self.world.borrow_mut();
        world.counter += 1;
        format!("svtest-{}", world.counter)
    }

    fn out_of_time(&self) -> bool {
        self.outer.out_of_time()
    }

    fn suite_script(&self, name: &str) -> Option<Vec<u8>> {
        self.outer.suite_script(name)
    }

    fn suite_include(&self, location: Location, name: &str) -> Option<Vec<u8>> {
        self.outer.suite_include(location, name)
    }
}

/// All extensions, with the includes beside the test.
struct SuiteLibrary<'a> {
    host: &'a dyn Host,
    settings: &'a Settings,
    suite_itself: bool,
}

impl Library for SuiteLibrary<'_> {
    fn enabled(&self, extension: &str) -> bool {
        extension != "vnd.dovecot.testsuite" || self.suite_itself
    }

    fn script(&self, location: Location, name: &str) -> Option<Vec<u8>> {
        self.host.suite_include(location, name)
    }

    fn limits(&self) -> crate::Limits {
        self.settings.limits.clone()
    }
}

/// Runs one test file. `directory` is where it lies; the host gives scripts by name ([`Host::suite_script`]).
pub fn run(name: &str, source: &[u8], directory: &str, settings: &Settings, outer: &mut dyn Host) -> Report {
    let library = SuiteLibrary { host: &*outer, settings, suite_itself: true };
    let script = match check::compile(name, source, &library) {
        Ok(script) => script,
        Err(errors) => {
            let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            return Report { broken: Some(text), ..Report::default() };
        }
    };
    let world = Rc::new(RefCell::new(World::default()));
    let mut host =
        SuiteHost { world: world.clone(), outer, directory: directory.to_owned(), host: settings.hostname.clone() };
    let envelope =
        Envelope { from: "sender@example.com".into(), to: "recipient@example.com".into(), ..Envelope::default() };
    let message = Message::new(*b"From: sender@example.com\nTo: recipient@example.com\nSubject: default\n\ndefault\n");
    world.borrow_mut().envelope = envelope.clone();
    let mut machine = Machine::new(&mut host, settings, envelope, message.clone());
    machine.suite = Some(Box::new(Suite {
        world,
        report: Report::default(),
        failed: false,
        script: None,
        errors: Vec::new(),
        executed: 0,
        kept: false,
        defaults: settings.clone(),
        original: message,
    }));
    let outcome = machine.run(&script);
    let mut report = machine.suite.take().map(|s| s.report).unwrap_or_default();
    if let Err(e) = outcome {
        report.broken = Some(e.to_string());
    }
    report
}

fn suite<'m>(m: &'m mut Machine<'_>, call: &Call) -> Result<&'m mut Suite, Failed> {
    m.suite.as_deref_mut().ok_or_else(|| Failed::at(call.pos, "no test suite is running"))
}

/// `test "name" { ... }`
pub(crate) fn test(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let name = m.text(call.text(0));
    suite(m, call)?.failed = false;
    m.steps = 0;
    let result = m.block(&call.block);
    let failure = match result {
        Ok(Flow::Break(Some(reason))) => Some(reason),
        Ok(_) => None,
        Err(Failed(e)) => Some(e.to_string()),
    };
    suite(m, call)?.report.tests.push((name, failure));
    Ok(Flow::Next)
}

/// `test_fail "reason"`: ends the test.
pub(crate) fn test_fail(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let reason = format!("line {}: {}", call.pos.line, m.text(call.text(0)));
    suite(m, call)?.failed = true;
    Ok(Flow::Break(Some(reason)))
}

/// `test_set "message" text`
pub(crate) fn test_set(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let value = m.text(call.text(1));
    // kept as written: tests want to see what a wrong path does; the null path is the empty one
    let path = match crate::address::path(&value) {
        Some((local, domain)) if domain.is_empty() => local,
        Some((local, domain)) => crate::address::Mailbox { local, domain }.to_string(),
        None => value.trim().to_owned(),
    };
    match m.text(call.text(0)).as_str() {
        "message" => {
            m.message = Message::new(value.replace("\r\n", "\n"));
            let message = m.message.clone();
            suite(m, call)?.original = message;
            let first = |m: &Machine<'_>, name: &str| {
                let field = m.message.raw_values(0, name).into_iter().next()?;
                penny_mime::address::mailboxes(&field).first().map(penny_mime::Address::email)
            };
            m.envelope.from =
                first(m, "sender").or_else(|| first(m, "from")).unwrap_or_else(|| "sender@example.com".into());
            m.envelope.to = first(m, "to").unwrap_or_else(|| "recipient@example.com".into());
            m.envelope.original_to = None;
        }
        "envelope.from" => m.envelope.from = path,
        "envelope.to" => {
            m.envelope.to = path;
            m.envelope.original_to = None;
        }
        "envelope.orig_to" => m.envelope.original_to = Some(path),
        "envelope.auth" => m.envelope.auth = Some(value),
        other => return Err(Failed::at(call.pos, format!("test_set: unknown object '{other}'"))),
    }
    let envelope = m.envelope.clone();
    suite(m, call)?.world.borrow_mut().envelope = envelope;
    Ok(Flow::Next)
}

/// `test_script_compile "file"`
pub(crate) fn test_script_compile(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let name = m.text(call.text(0));
    let compiled = compile(m, &name);
    let suite = suite(m, call)?;
    match compiled {
        Ok(script) => {
            suite.script = Some(script);
            suite.errors.clear();
            Ok(true)
        }
        Err(errors) => {
            suite.script = None;
            suite.errors = errors;
            Ok(false)
        }
    }
}

fn compile(m: &Machine<'_>, name: &str) -> Result<Script, Vec<String>> {
    let Some(source) = m.host.suite_script(name) else { return Err(vec![format!("script '{name}' does not exist")]) };
    let library = SuiteLibrary { host: &*m.host, settings: &m.settings, suite_itself: true };
    check::compile(name, &source, &library).map_err(|errors| {
        let mut all: Vec<String> = errors.into_iter().map(|e| e.text).collect();
        all.push(format!("{name}: the script has errors"));
        all
    })
}

/// `test_script_run [:append_result]`
pub(crate) fn test_script_run(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let append = call.has("append_result");
    let suite = suite(m, call)?;
    let Some(script) = suite.script.clone() else { return Ok(false) };
    if !append {
        suite.executed = 0;
        suite.kept = false;
    }
    run_script(m, call, &script, append)
}

fn run_script(m: &mut Machine<'_>, call: &Call, script: &Script, append: bool) -> Result<bool, Failed> {
    let settings = m.settings.clone();
    let mut inner = Machine::new(&mut *m.host, &settings, m.envelope.clone(), m.message.clone());
    if append {
        inner.actions.clone_from(&m.actions);
        inner.implicit_keep = m.implicit_keep;
        inner.flags.clone_from(&m.flags);
    }
    let result = inner.run(script);
    let (actions, keep, flags, message) = (inner.actions, inner.implicit_keep, inner.flags, inner.message);
    let warnings = inner.warnings;
    m.actions = actions;
    m.implicit_keep = keep;
    m.flags = flags;
    m.message = message;
    let suite = suite(m, call)?;
    suite.errors = warnings;
    match result {
        Ok(_) => Ok(true),
        Err(e) => {
            suite.errors.push(e.text);
            Ok(false)
        }
    }
}

/// `test_multiscript ["a", "b"]`: the next runs while the message is to be kept.
pub(crate) fn test_multiscript(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    m.actions.clear();
    m.implicit_keep = true;
    let fresh = suite(m, call)?;
    fresh.executed = 0;
    fresh.kept = false;
    let mut append = false;
    for name in m.texts(call.list(0)) {
        let script = match compile(m, &name) {
            Ok(script) => script,
            Err(errors) => {
                suite(m, call)?.errors = errors;
                return Ok(false);
            }
        };
        if !run_script(m, call, &script, append)? {
            return Ok(false);
        }
        if !test_result_execute_kept(m, call, false)? {
            return Ok(false);
        }
        let kept = m.implicit_keep || m.actions.iter().any(|a| matches!(a, Action::Store(s) if s.keep));
        if !kept {
            break;
        }
        append = true;
    }
    test_result_execute(m, call)
}

/// `test_error [:index n] ...`
pub(crate) fn test_error(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let errors = suite(m, call)?.errors.clone();
    let values = crate::exec::pick(call, errors);
    matches(m, call, &values, call.list(0))
}

/// `test_result_action [:index n] ...`
pub(crate) fn test_result_action(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let shown = |a: &&Action| !matches!(a, Action::Remember { .. });
    let names: Vec<String> = m.actions.iter().filter(shown).map(|a| a.name().to_owned()).collect();
    let values = crate::exec::pick(call, names);
    matches(m, call, &values, call.list(0))
}

/// `test_result_execute`
pub(crate) fn test_result_execute(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    test_result_execute_kept(m, call, true)
}

/// `last`: the implicit keep is due too.
fn test_result_execute_kept(m: &mut Machine<'_>, call: &Call, last: bool) -> Result<bool, Failed> {
    let from = suite(m, call)?.executed;
    let actions: Vec<Action> = m.actions.get(from..).unwrap_or_default().to_vec();
    let mut good = true;
    for action in &actions {
        good &= execute(m, call, action)?;
    }
    if last && m.implicit_keep && !suite(m, call)?.kept {
        let (message, flags) = (m.message.clone(), stored_flags(&m.flags));
        let suite = suite(m, call)?;
        suite.kept = true;
        suite.world.borrow_mut().mailboxes.entry("INBOX".into()).or_default().push((message, flags));
    }
    let count = m.actions.len();
    suite(m, call)?.executed = count;
    Ok(good)
}

fn execute(m: &mut Machine<'_>, call: &Call, action: &Action) -> Result<bool, Failed> {
    let (envelope_from, envelope_to) = (m.envelope.from.clone(), m.envelope.to.clone());
    let settings = m.settings.clone();
    match action {
        Action::Store(store) => return Ok(suite(m, call)?.store(store)),
        Action::Send(out) => {
            let suite = suite(m, call)?;
            let mut world = suite.world.borrow_mut();
            for to in &out.to {
                let message = Message::new(out.message.clone());
                world.sent.push(Sent { from: out.from.clone(), to: to.clone(), message });
            }
            drop(world);
            if let Some(store) = &out.fcc {
                let store = Store { message: Message::new(out.message.clone()), ..(**store).clone() };
                suite.store(&store);
            }
        }
        Action::Discard => {}
        Action::Reject { reason, .. } => {
            if !envelope_from.is_empty() {
                let unique = m.host.unique();
                let now = m.host.now();
                let message =
                    crate::reject::report(&settings, &m.message, &envelope_from, &envelope_to, reason, (&unique, now));
                let sent = Sent { from: String::new(), to: envelope_from, message: Message::new(message) };
                suite(m, call)?.world.borrow_mut().sent.push(sent);
            }
        }
        Action::Pipe { program, args, message, try_only } => {
            let ran = m.host.run_program(ProgramKind::Pipe, program, args, Some(message.bytes()));
            if *try_only || ran.as_ref().is_ok_and(|r| r.success) {
                return Ok(true);
            }
            let suite = suite(m, call)?;
            suite.errors.extend(ran.err().filter(|why| why.contains("time")));
            suite.errors.push(format!("failed to pipe message to program '{program}'"));
            return Ok(false);
        }
        Action::Remember { key, .. } => {
            suite(m, call)?.world.borrow_mut().duplicates.insert(key.clone());
        }
    }
    Ok(true)
}

/// The mailboxes of the suite are Dovecot's, which marks what it stores.
fn stored_flags(flags: &[String]) -> Vec<String> {
    flags.iter().cloned().chain(["$HasNoAttachment".to_owned()]).collect()
}

impl Suite {
    fn store(&mut self, store: &Store) -> bool {
        let valid = !store.mailbox.split('/').any(str::is_empty) && !store.mailbox.contains('\u{fffd}');
        if !valid {
            self.errors.push(format!("failed to store into mailbox '{}': invalid mailbox name", store.mailbox));
            return false;
        }
        let mut world = self.world.borrow_mut();
        let mut name = store.mailbox.clone();
        if name.get(..5).is_some_and(|n| n.eq_ignore_ascii_case("INBOX")) && name.get(5..6).is_none_or(|s| s == ".") {
            name.replace_range(..5, "INBOX");
        }
        let name = name.as_str();
        if !store.create && name != "INBOX" && !world.mailboxes.contains_key(name) {
            // as deliver does: to INBOX, and the script's action has not done what it said
            world.mailboxes.entry("INBOX".into()).or_default().push((self.original.clone(), Vec::new()));
            drop(world);
            self.errors.push(format!("failed to store into mailbox '{}': mailbox does not exist", store.mailbox));
            return false;
        }
        let flags = stored_flags(store.flags.as_deref().unwrap_or_default());
        world.mailboxes.entry(name.to_owned()).or_default().push((store.message.clone(), flags));
        true
    }
}

/// `test_result_reset`
pub(crate) fn test_result_reset(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    m.actions.clear();
    m.implicit_keep = true;
    m.flags.clear();
    m.added_headers = 0;
    m.earlier = 0;
    let suite = suite(m, call)?;
    suite.executed = 0;
    suite.kept = false;
    suite.world.borrow_mut().sent.clear();
    m.message = suite.original.clone();
    Ok(Flow::Next)
}

/// `test_result_print`
pub(crate) fn test_result_print(m: &mut Machine<'_>, _: &Call) -> Result<Flow, Failed> {
    for text in m.actions.iter().map(Action::describe).collect::<Vec<_>>() {
        m.host.log(&text);
    }
    Ok(Flow::Next)
}

fn find_message(m: &mut Machine<'_>, call: &Call) -> Result<Option<Sent>, Failed> {
    let index = usize::try_from(call.number(0)).unwrap_or(usize::MAX);
    let folder = call.text_tag("folder").map(|t| m.text(t));
    let world = suite(m, call)?.world.clone();
    let world = world.borrow();
    Ok(match folder {
        Some(name) => {
            let found = world.mailboxes.get(&name).and_then(|list| list.get(index)).cloned();
            let (from, to) = (m.envelope.from.clone(), m.envelope.to.clone());
            if let Some((_, flags)) = &found {
                m.flags.clone_from(flags);
            }
            found.map(|(message, _)| Sent { from, to, message })
        }
        None => world.sent.get(index).cloned(),
    })
}

/// `test_message ... n;`: the message becomes the one at hand.
pub(crate) fn test_message(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    match find_message(m, call)? {
        Some(found) => {
            m.message = found.message;
            let message = m.message.clone();
            suite(m, call)?.original = message;
            m.envelope = Envelope { from: found.from, to: found.to, ..Envelope::default() };
            Ok(Flow::Next)
        }
        None => Ok(Flow::Break(Some(format!("line {}: there is no such message", call.pos.line)))),
    }
}

/// `if test_message ... n`
pub(crate) fn has_message(m: &mut Machine<'_>, call: &Call) -> Result<bool, Failed> {
    let found = find_message(m, call)?.is_some();
    if found {
        test_message(m, call)?;
    }
    Ok(found)
}

/// `test_mailbox_create "name"`
pub(crate) fn test_mailbox_create(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let name = m.text(call.text(0));
    suite(m, call)?.world.borrow_mut().mailboxes.entry(name).or_default();
    Ok(Flow::Next)
}

/// `test_config_set "name" "value"`
pub(crate) fn test_config_set(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let (name, value) = (m.text(call.text(0)), m.text(call.text(1)));
    suite(m, call)?.world.borrow_mut().config.insert(name, value);
    Ok(Flow::Next)
}

/// `test_config_unset "name"`
pub(crate) fn test_config_unset(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let name = m.text(call.text(0));
    suite(m, call)?.world.borrow_mut().config.remove(&name);
    Ok(Flow::Next)
}

/// `test_config_reload`
pub(crate) fn test_config_reload(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let suite = suite(m, call)?;
    let settings = suite_config::settings(&suite.defaults, &suite.world.borrow().config);
    m.settings = Rc::new(settings);
    Ok(Flow::Next)
}

/// `test_imap_metadata_set [:mailbox name] annotation value`
pub(crate) fn test_imap_metadata_set(m: &mut Machine<'_>, call: &Call) -> Result<Flow, Failed> {
    let mailbox = call.text_tag("mailbox").map(|t| m.text(t));
    let (name, value) = (m.text(call.text(0)), m.text(call.text(1)));
    suite(m, call)?.world.borrow_mut().metadata.insert((mailbox, name.to_ascii_lowercase()), value);
    Ok(Flow::Next)
}

/// There is no stored form of a script that could differ: the compiled one at hand is used again.
pub(crate) fn test_binary_save(_: &mut Machine<'_>, _: &Call) -> Result<Flow, Failed> {
    Ok(Flow::Next)
}

/// See [`test_binary_save`].
pub(crate) fn test_binary_load(_: &mut Machine<'_>, _: &Call) -> Result<Flow, Failed> {
    Ok(Flow::Next)
}
