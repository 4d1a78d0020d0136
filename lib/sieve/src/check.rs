//! From the tree as written to commands that are known to be right.
//!
//! Standards   RFC 5228 2.6 to 3.2 and 6; RFC 5463 4 (ihave); RFC 6609 3.1 (include, resolved here)
//! Invariants  1. a [`Call`] has exactly the arguments its [`Spec`] says   2. one error a command: the first; later commands are still checked
//!             3. includes end: depth and number are bounded, circles are errors

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::compare::{Comparator, MatchType, Matcher, Relation};
use crate::error::{Error, Pos};
use crate::ext;
use crate::parse::{self, Arg, Node, Raw};
use crate::spec::{self, Kind, Param, Spec, Tests};
use crate::text::{self, Text};
use crate::verify;

/// A checked argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Text(Text),
    List(Vec<Text>),
}

/// A checked command or test.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub spec: &'static Spec,
    pub pos: Pos,
    tags: Vec<(&'static str, Option<Value>)>,
    pub args: Vec<Option<Value>>,
    pub tests: Vec<Call>,
    pub block: Vec<Statement>,
    pub matcher: Matcher,
    /// The unit an `include` stands for.
    pub unit: Option<usize>,
}

impl Call {
    pub(crate) fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|(name, _)| *name == tag)
    }

    pub(crate) fn tag(&self, tag: &str) -> Option<&Value> {
        self.tags.iter().find(|(name, _)| *name == tag).and_then(|(_, v)| v.as_ref())
    }

    /// A tag's or argument's string.
    pub(crate) fn text_tag(&self, tag: &str) -> Option<&Text> {
        match self.tag(tag) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn number_tag(&self, tag: &str) -> Option<u64> {
        match self.tag(tag) {
            Some(Value::Number(n)) => Some(*n),
            _ => None,
        }
    }

    pub(crate) fn list_tag(&self, tag: &str) -> Option<&[Text]> {
        match self.tag(tag) {
            Some(Value::List(list)) => Some(list),
            _ => None,
        }
    }

    /// Positional argument `at` as a string; the empty string only if the table of commands were wrong.
    pub(crate) fn text(&self, at: usize) -> &Text {
        static EMPTY: std::sync::OnceLock<Text> = std::sync::OnceLock::new();
        match self.args.get(at) {
            Some(Some(Value::Text(text))) => text,
            _ => EMPTY.get_or_init(Text::default),
        }
    }

    pub(crate) fn list(&self, at: usize) -> &[Text] {
        match self.args.get(at) {
            Some(Some(Value::List(list))) => list,
            _ => &[],
        }
    }

    pub(crate) fn number(&self, at: usize) -> u64 {
        match self.args.get(at) {
            Some(Some(Value::Number(n))) => *n,
            _ => 0,
        }
    }

    pub(crate) fn given(&self, at: usize) -> bool {
        self.args.get(at).is_some_and(Option::is_some)
    }
}

/// What runs.
#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Call(Call),
    If { branches: Vec<(Call, Vec<Statement>)>, otherwise: Vec<Statement> },
}

/// One script file, checked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unit {
    pub name: String,
    pub body: Vec<Statement>,
    /// `variables` is required: strings are templates.
    pub extensions: BTreeSet<&'static str>,
}

/// A checked script with all it includes; unit 0 is the script itself.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) units: Rc<Vec<Unit>>,
}

impl Script {
    /// The extensions the script and its includes require.
    pub fn extensions(&self) -> BTreeSet<&'static str> {
        self.units.iter().flat_map(|u| u.extensions.iter().copied()).collect()
    }
}

/// Where an included script lies, RFC 6609 3.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// The user's own.
    Personal,
    /// The administrator's.
    Global,
}

/// What compiling a script may need to know.
pub trait Library {
    /// Is the extension switched on?
    fn enabled(&self, extension: &str) -> bool {
        ext::find(extension).is_some_and(|e| !e.optional)
    }

    /// The text of a script to include; `None` if there is none.
    fn script(&self, location: Location, name: &str) -> Option<Vec<u8>> {
        let _ = (location, name);
        None
    }

    /// Limits of includes and notifications.
    fn limits(&self) -> crate::Limits {
        crate::Limits::default()
    }
}

/// A library with all extensions but the optional ones, and no scripts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLibrary;

impl Library for NoLibrary {}

/// Parses and checks a script.
///
/// # Errors
/// All errors found, in order.
pub fn compile(name: &str, script: &[u8], library: &dyn Library) -> Result<Script, Vec<Error>> {
    let mut errors = Vec::new();
    let mut build = Build { library, units: Vec::new(), chain: vec![name.to_owned()], included: 0 };
    build.units.push(Unit::default());
    let unit = build.unit(name, script, &mut errors);
    if let Some(first) = build.units.first_mut() {
        *first = unit;
    }
    if errors.is_empty() {
        return Ok(Script { units: Rc::new(build.units) });
    }
    errors.truncate(parse::ERRORS_MAX);
    Err(errors)
}

struct Build<'a> {
    library: &'a dyn Library,
    units: Vec<Unit>,
    /// Names of the scripts being compiled, outermost first.
    chain: Vec<String>,
    included: usize,
}

impl Build<'_> {
    fn unit(&mut self, name: &str, script: &[u8], errors: &mut Vec<Error>) -> Unit {
        let limit = self.library.limits().script_size;
        if script.len() > limit {
            errors.push(Error::new(Pos { line: 1, column: 1 }, format!("the script is longer than {limit} octets")));
            return Unit::default();
        }
        let Ok(source) = std::str::from_utf8(script) else {
            errors.push(Error::new(bad_utf8(script), "the script is not valid UTF-8"));
            return Unit::default();
        };
        let (nodes, mut found) = parse::parse(source.strip_prefix('\u{feff}').unwrap_or(source));
        if !found.is_empty() {
            errors.append(&mut found);
            return Unit::default();
        }
        let mut checker = Checker {
            build: self,
            errors,
            extensions: BTreeSet::new(),
            loops: Vec::new(),
            needs_loop: None,
            unknown_tags: BTreeSet::new(),
            depth: 0,
            requires_over: false,
            variables: BTreeSet::new(),
            globals: BTreeSet::new(),
        };
        let body = checker.block(&nodes);
        if let Some(pos) = checker.needs_loop.filter(|_| !checker.has("foreverypart")) {
            checker.error(pos, "extracttext needs require \"foreverypart\"");
        }
        let extensions = checker.extensions;
        Unit { name: name.to_owned(), body, extensions }
    }
}

fn bad_utf8(script: &[u8]) -> Pos {
    let good = std::str::from_utf8(script).err().map_or(0, |e| e.valid_up_to());
    let before = script.get(..good).unwrap_or_default();
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    Pos { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1 }
}

/// Deepest nesting of `foreverypart`; RFC 5703 3 leaves it to us, and each level multiplies the work.
pub(crate) const LOOPS_MAX: usize = 4;

/// Known before running?
type Constant = Option<bool>;

pub(crate) struct Checker<'a, 'b> {
    build: &'a mut Build<'b>,
    errors: &'a mut Vec<Error>,
    pub(crate) extensions: BTreeSet<&'static str>,
    /// Names of the enclosing `foreverypart` loops.
    pub(crate) loops: Vec<Option<String>>,
    /// Where `extracttext` was required without `foreverypart`.
    needs_loop: Option<Pos>,
    /// Complaints about tags, each made once.
    unknown_tags: BTreeSet<(String, bool)>,
    depth: u32,
    requires_over: bool,
    /// Variables declared, for the limit.
    pub(crate) variables: BTreeSet<String>,
    /// Variables declared global.
    pub(crate) globals: BTreeSet<String>,
}

impl Checker<'_, '_> {
    pub(crate) fn error(&mut self, pos: Pos, text: impl Into<String>) {
        self.errors.push(Error::new(pos, text));
    }

    pub(crate) fn has(&self, extension: &str) -> bool {
        self.extensions.contains(extension)
    }

    pub(crate) fn library(&self) -> &dyn Library {
        self.build.library
    }

    fn block(&mut self, nodes: &[Node]) -> Vec<Statement> {
        let mut out = Vec::new();
        let mut rest = nodes.iter().peekable();
        while let Some(node) = rest.next() {
            if node.name == "require" {
                self.require(node);
                continue;
            }
            self.requires_over = true;
            match node.name.as_str() {
                "if" => {
                    let mut chain = vec![node];
                    let mut ended = false;
                    while let Some(next) = rest.peek() {
                        if !matches!(next.name.as_str(), "elsif" | "else") {
                            break;
                        }
                        if ended {
                            break;
                        }
                        ended = next.name == "else";
                        chain.push(next);
                        rest.next();
                    }
                    out.extend(self.conditional(&chain));
                }
                "elsif" | "else" => {
                    self.error(node.pos, format!("'{}' without an 'if' before it", node.name));
                    // the rest of a chain without head is one mistake
                    while rest.peek().is_some_and(|n| matches!(n.name.as_str(), "elsif" | "else")) {
                        rest.next();
                    }
                }
                _ => out.extend(self.command(node).map(Statement::Call)),
            }
        }
        out
    }

    fn nested(&mut self, nodes: &[Node]) -> Vec<Statement> {
        self.depth += 1;
        let body = self.block(nodes);
        self.depth -= 1;
        body
    }

    /// RFC 5228 3.1. Branches that can never run are not checked: `ihave` may guard what this engine does not know (RFC 5463 4).
    fn conditional(&mut self, chain: &[&Node]) -> Option<Statement> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        let mut decided = false;
        for node in chain {
            if !self.shape(node, &format!("the {} command", node.name), node.name != "else") {
                continue;
            }
            let block = node.block.as_deref().unwrap_or_default();
            if node.name == "else" {
                if !decided {
                    otherwise = self.nested(block);
                }
                continue;
            }
            let Some(test) = node.tests.first() else { continue };
            let before = self.extensions.clone();
            let Some((call, constant)) = self.test(test) else {
                // the block is still looked at: more errors at once
                self.nested(block);
                continue;
            };
            if decided || constant == Some(false) {
                self.extensions = before;
                continue;
            }
            branches.push((call, self.nested(block)));
            decided = constant == Some(true);
            if mentions_ihave(test) {
                self.extensions = before;
            }
        }
        Some(Statement::If { branches, otherwise })
    }

    /// `if`, `elsif`, `else`: no arguments, one test or none, a block.
    fn shape(&mut self, node: &Node, what: &str, test: bool) -> bool {
        let problem = if !node.args.is_empty() {
            format!("{what} accepts no arguments, but {} given", node.args.len())
        } else if test && (node.test_list || node.tests.len() != 1) {
            format!("{what} requires one test")
        } else if !test && !node.tests.is_empty() {
            format!("{what} accepts no tests (is 'elsif' meant?)")
        } else if node.block.is_none() {
            format!("{what} requires a block")
        } else {
            return true;
        };
        let test_fits = node.args.is_empty() && test && !node.test_list && node.tests.len() == 1;
        if let Some(test) = node.tests.first().filter(|_| test_fits) {
            let _ = self.test(test); // for its own mistakes
        }
        self.error(node.pos, problem);
        if let Some(block) = &node.block {
            self.nested(block);
        }
        false
    }

    /// RFC 5228 3.2.
    fn require(&mut self, node: &Node) {
        let list: Vec<&str> = match node.args.as_slice() {
            [Arg { value: Raw::Text(one), .. }] => vec![one],
            [Arg { value: Raw::List(many), .. }] => many.iter().map(|(_, t)| t.as_str()).collect(),
            [Arg { value, .. }] => {
                let found = describe(value);
                return self.error(
                    node.pos,
                    format!("the require command expects a string list as argument 1 (capabilities), but a {found} was found"),
                );
            }
            args => {
                let n = args.len();
                return self.error(node.pos, format!("the require command requires 1 argument, but {n} given"));
            }
        };
        if !node.tests.is_empty() || node.block.is_some() {
            return self.error(node.pos, "the require command accepts neither tests nor a block");
        }
        if self.depth > 0 || self.requires_over {
            return self.error(node.pos, "require commands stand at the top of the script only");
        }
        let together = list.contains(&"foreverypart");
        for name in list {
            // RFC 5703 7: it reads the part that a loop is at
            if name == "extracttext" {
                self.needs_loop = self.needs_loop.or((!together).then_some(node.pos));
            }
            if !self.enable(name) {
                self.error(node.pos, format!("unknown Sieve capability '{}'", printable(name)));
            }
        }
    }

    fn enable(&mut self, name: &str) -> bool {
        let Some(known) = ext::find(name).filter(|e| self.build.library.enabled(e.name)) else { return false };
        self.extensions.insert(known.name);
        self.extensions.extend(ext::implied(known.name));
        true
    }

    fn command(&mut self, node: &Node) -> Option<Call> {
        let found = spec::find(&node.name).filter(|s| self.allowed(s));
        let Some(spec) = found else {
            self.error(node.pos, format!("unknown command '{}'{}", node.name, self.hint(&node.name)));
            return None;
        };
        if spec.run.is_none() {
            self.error(node.pos, format!("attempted to use test '{}' as a command", node.name));
            return None;
        }
        let call = self.call(spec, node, "command");
        if !spec.block && node.block.is_some() {
            self.error(node.pos, format!("the {} command accepts no block", node.name));
            return None;
        }
        if spec.block && node.block.is_none() && call.is_some() {
            self.error(node.pos, format!("the {} command requires a block", node.name));
            return None;
        }
        let mut call = call;
        if let (Some(block), true) = (&node.block, spec.block) {
            let is_loop = spec.name == "foreverypart";
            if is_loop && self.loops.len() >= LOOPS_MAX {
                self.error(node.pos, format!("foreverypart loops nested more than {LOOPS_MAX} deep"));
                return None;
            }
            if is_loop {
                let name = call.as_ref().and_then(|c| c.text_tag("name")).and_then(|t| t.as_constant());
                self.loops.push(name.map(str::to_owned));
            }
            let body = self.nested(block);
            if is_loop {
                self.loops.pop();
            }
            if let Some(call) = &mut call {
                call.block = body;
            }
        }
        call
    }

    fn allowed(&self, spec: &Spec) -> bool {
        spec.ext.is_empty() || spec.ext.iter().any(|e| self.has(e))
    }

    fn hint(&self, name: &str) -> String {
        let Some(ext) = spec::find(name).and_then(|s| s.ext.first()) else { return String::new() };
        format!(" (require \"{ext}\" is missing)")
    }

    fn test(&mut self, node: &Node) -> Option<(Call, Constant)> {
        let Some(spec) = spec::find(&node.name).filter(|s| self.allowed(s)) else {
            if matches!(node.name.as_str(), "if" | "elsif" | "else" | "require") {
                self.error(node.pos, format!("attempted to use command '{}' as a test", node.name));
            } else {
                self.error(node.pos, format!("unknown test '{}'{}", node.name, self.hint(&node.name)));
            }
            return None;
        };
        if spec.eval.is_none() {
            self.error(node.pos, format!("attempted to use command '{}' as a test", node.name));
            return None;
        }
        match spec.name {
            "not" | "allof" | "anyof" => self.combination(spec, node),
            "ihave" => {
                let call = self.call(spec, node, "test")?;
                let known = self.ihave(&call);
                Some((call, Some(known)))
            }
            _ => {
                let constant = match spec.name {
                    "true" => Some(true),
                    "false" => Some(false),
                    _ => None,
                };
                self.call(spec, node, "test").map(|call| (call, constant))
            }
        }
    }

    /// RFC 5463 4: all of them are there; then they count as required. Extensions that change how the script itself is read
    /// cannot be had this way.
    fn ihave(&mut self, call: &Call) -> bool {
        let names: Vec<String> = call.list(0).iter().filter_map(|t| t.as_constant()).map(str::to_owned).collect();
        let known = |name: &String| {
            !matches!(name.as_str(), "variables" | "encoded-character")
                && ext::find(name).is_some_and(|e| self.build.library.enabled(e.name))
        };
        let all = names.len() == call.list(0).len() && names.iter().all(known);
        all && names.iter().all(|n| self.enable(n))
    }

    fn combination(&mut self, spec: &'static Spec, node: &Node) -> Option<(Call, Constant)> {
        let what = format!("the {} test", spec.name);
        let wrong = if !node.args.is_empty() {
            Some(format!("{what} accepts no arguments"))
        } else if spec.tests == Tests::One && (node.test_list || node.tests.len() != 1) {
            Some(format!("{what} requires one test"))
        } else if spec.tests == Tests::List && node.tests.is_empty() {
            Some(format!("{what} requires a list of tests"))
        } else {
            None
        };
        if let Some(text) = wrong {
            self.error(node.pos, text);
            return None;
        }
        let stop_at = match spec.name {
            "allof" => Some(false),
            "anyof" => Some(true),
            _ => None,
        };
        let mut calls = Vec::new();
        let mut constants = Vec::new();
        let mut failed = false;
        for test in &node.tests {
            let Some((call, constant)) = self.test(test) else {
                failed = true;
                continue;
            };
            calls.push(call);
            constants.push(constant);
            // what stands behind a decided test never runs: not checked, as with `if`
            if constant.is_some() && constant == stop_at {
                break;
            }
        }
        if failed {
            return None;
        }
        let constant = match spec.name {
            "not" => constants.first().copied().flatten().map(|b| !b),
            _ if constants.last().copied().flatten().is_some() && constants.last().copied().flatten() == stop_at => {
                stop_at
            }
            _ if constants.iter().all(Option::is_some) => stop_at.map(|s| !s),
            _ => None,
        };
        let call = Call { tests: calls, ..Call::empty(spec, node.pos) };
        Some((call, constant))
    }

    /// Checks arguments against the table; reports at most one error.
    fn call(&mut self, spec: &'static Spec, node: &Node, role: &str) -> Option<Call> {
        let what = format!("the {} {role}", spec.name);
        let mut call = Call::empty(spec, node.pos);
        let result = self
            .tags(spec, node, &what, &mut call)
            .and_then(|positional| self.positional(spec, &positional, node.pos, &what, &mut call))
            .and_then(|()| self.no_tests(node, &what))
            .and_then(|()| self.matcher(node.pos, &mut call));
        if let Err(error) = result {
            if !error.text.is_empty() {
                self.errors.push(error);
            }
            if let Some(word) = node.tests.first().filter(|t| spec.find_tag(&t.name).is_some()) {
                self.error(word.pos, format!("missing colon before '{}' to make it a tag of {what}", word.name));
            }
            return None;
        }
        if spec.name == "include" {
            return self.include(call);
        }
        verify::verify(self, &mut call, &what).then_some(call)
    }

    fn no_tests(&self, node: &Node, what: &str) -> Result<(), Error> {
        if node.tests.is_empty() {
            return Ok(());
        }
        let stray = node.tests.first().filter(|_| what.ends_with("command") && !node.test_list);
        if stray.is_some_and(|t| spec::find(&t.name).is_none_or(|s| s.eval.is_none())) {
            return Err(Error::new(
                node.pos,
                format!("missing semicolon after {} (the next command was read as its test)", node.name),
            ));
        }
        let hint = if stray.is_some() { " (missing semicolon?)" } else { "" };
        let kind = if what.ends_with("test") { "sub-tests" } else { "tests" };
        Err(Error::new(node.pos, format!("{what} accepts no {kind}, but {kind} are specified{hint}")))
    }

    fn tags<'n>(
        &mut self,
        spec: &'static Spec,
        node: &'n Node,
        what: &str,
        call: &mut Call,
    ) -> Result<Vec<&'n Arg>, Error> {
        let mut positional = Vec::new();
        let mut args = node.args.iter();
        while let Some(arg) = args.next() {
            let Raw::Tag(name) = &arg.value else {
                positional.push(arg);
                continue;
            };
            let Some(tag) = spec.find_tag(name).filter(|t| t.ext.is_empty() || self.has(t.ext)) else {
                let text = format!("unknown tagged argument ':{name}' for {what} (reported once)");
                // an empty text is not shown: the script is wrong already
                let fresh = self.unknown_tags.insert((text.clone(), positional.is_empty()));
                return Err(Error::new(arg.pos, if fresh { text } else { String::new() }));
            };
            if !positional.is_empty() {
                return Err(Error::new(
                    arg.pos,
                    format!("unexpected tagged argument ':{name}' after the positional arguments of {what}"),
                ));
            }
            if call.has(tag.name) {
                return Err(Error::new(arg.pos, format!("tagged argument ':{name}' given twice for {what}")));
            }
            let taken = |(other, _): &(&'static str, Option<Value>)| {
                !tag.group.is_empty() && spec.find_tag(other).is_some_and(|o| o.group == tag.group)
            };
            if call.tags.iter().any(taken) {
                let group = tag.group;
                return Err(Error::new(arg.pos, format!("unexpected ':{name}': a second {group} for {what}")));
            }
            let value = match tag.value {
                None => None,
                Some(kind) => {
                    let given = args.next().filter(|a| !matches!(a.value, Raw::Tag(_)));
                    let label = format!("':{name}' of {what}");
                    let given = given
                        .ok_or_else(|| Error::new(arg.pos, format!("tag {label} expects a {}", kind.describe())))?;
                    Some(self.value(given, kind).map_err(|found| {
                        found.unwrap_or_else(|| {
                            let (kind, found) = (kind.describe(), describe(&given.value));
                            Error::new(given.pos, format!("tag {label} expects a {kind}, but a {found} was found"))
                        })
                    })?)
                }
            };
            call.tags.push((tag.name, value));
        }
        Ok(positional)
    }

    fn positional(&mut self, spec: &Spec, given: &[&Arg], pos: Pos, what: &str, call: &mut Call) -> Result<(), Error> {
        let most = spec.args.len();
        let least = spec.args.iter().filter(|p| !p.optional).count();
        if given.len() < least || given.len() > most {
            let plural = if least == 1 { "" } else { "s" };
            let text = format!(
                "{what} requires {}{least} positional argument{plural}, but {} {} specified",
                if least < most { "at least " } else { "" },
                given.len(),
                if given.len() == 1 { "is" } else { "are" }
            );
            return Err(Error::new(pos, text));
        }
        let mut left_out = most - given.len();
        let mut rest = given.iter();
        for (number, param) in spec.args.iter().enumerate() {
            if param.optional && left_out > 0 {
                left_out -= 1;
                call.args.push(None);
                continue;
            }
            let Some(arg) = rest.next() else { break };
            let value =
                self.value(arg, param.kind).map_err(|e| e.unwrap_or_else(|| wrong_type(arg, param, number, what)))?;
            call.args.push(Some(value));
        }
        Ok(())
    }

    /// Inner error: an error of its own; `None`: of another type.
    fn value(&self, arg: &Arg, kind: Kind) -> Result<Value, Option<Error>> {
        match (&arg.value, kind) {
            (Raw::Number(n), Kind::Number) => Ok(Value::Number(*n)),
            (Raw::Text(t), Kind::Text) => Ok(Value::Text(self.template(t, arg.pos)?)),
            (Raw::Text(t), Kind::List) => Ok(Value::List(vec![self.template(t, arg.pos)?])),
            (Raw::List(l), Kind::List) => {
                l.iter().map(|(pos, t)| self.template(t, *pos)).collect::<Result<_, _>>().map(Value::List).map_err(Some)
            }
            _ => Err(None),
        }
    }

    /// RFC 5228 2.4.2.4 first, then RFC 5229 3.
    fn template(&self, raw: &str, pos: Pos) -> Result<Text, Error> {
        let decoded = if self.has("encoded-character") {
            text::decode_encoded(raw).ok_or_else(|| Error::new(pos, "this names no Unicode character"))?
        } else {
            raw.to_owned()
        };
        if !self.has("variables") {
            return Ok(Text::constant(decoded));
        }
        let template = Text::template(&decoded);
        for piece in template.pieces() {
            verify::reference(self, piece).map_err(|text| Error::new(pos, text))?;
        }
        Ok(template)
    }

    /// RFC 5228 2.7.1: the default is `:is` with `i;ascii-casemap`.
    fn matcher(&mut self, pos: Pos, call: &mut Call) -> Result<(), Error> {
        if !call.spec.has_match_type() {
            return Ok(());
        }
        if let Some(name) = call.text_tag("comparator") {
            let name = name.as_constant().ok_or_else(|| Error::new(pos, "a comparator must be a constant string"))?;
            let known = Comparator::parse(name);
            // RFC 5228 2.7.3: these two need no require
            let free = known.is_some_and(|c| c != Comparator::AsciiNumeric);
            let known = known.filter(|_| free || self.has(&format!("comparator-{name}")));
            call.matcher.comparator =
                known.ok_or_else(|| Error::new(pos, format!("unknown comparator '{}'", printable(name))))?;
        }
        call.matcher.kind = self.match_type(pos, call)?;
        let substring = matches!(call.matcher.kind, MatchType::Contains | MatchType::Matches | MatchType::Regex);
        if substring && !call.matcher.comparator.has_substring() {
            let name = call.matcher.comparator.name();
            return Err(Error::new(pos, format!("comparator '{name}' cannot look for parts of a string")));
        }
        Ok(())
    }

    fn match_type(&self, pos: Pos, call: &Call) -> Result<MatchType, Error> {
        let relation = |tag: &str| {
            let word = call.text_tag(tag).and_then(|t| t.as_constant());
            word.and_then(Relation::parse).ok_or_else(|| {
                Error::new(pos, format!("':{tag}' needs one of \"gt\" \"ge\" \"lt\" \"le\" \"eq\" \"ne\""))
            })
        };
        Ok(if call.has("contains") {
            MatchType::Contains
        } else if call.has("matches") {
            MatchType::Matches
        } else if call.has("regex") {
            MatchType::Regex
        } else if call.has("value") {
            MatchType::Value(relation("value")?)
        } else if call.has("count") {
            MatchType::Count(relation("count")?)
        } else if call.has("list") {
            MatchType::List
        } else {
            MatchType::Is
        })
    }

    /// RFC 6609 3.2: the script is found and checked now.
    fn include(&mut self, mut call: Call) -> Option<Call> {
        let pos = call.pos;
        let Some(name) = call.text(0).as_constant().map(str::to_owned) else {
            self.error(pos, "the name of an included script must be a constant string");
            return None;
        };
        if !valid_script_name(&name) {
            self.error(pos, format!("'{}' is no valid script name", printable(&name)));
            return None;
        }
        let location = if call.has("global") { Location::Global } else { Location::Personal };
        let key = format!("{location:?}/{name}");
        if let Some(at) = self.build.units.iter().position(|u| u.name == key && !u.extensions.contains("\0open")) {
            call.unit = Some(at);
            return Some(call);
        }
        if call.has("once")
            && let Some(open) = self.build.units.iter().position(|u| u.name == key)
        {
            // it is running already, so it is not run again
            call.unit = Some(open);
            return Some(call);
        }
        if let Some(text) = self.include_refused(&key, &name) {
            self.error(pos, text);
            return None;
        }
        let Some(script) = self.build.library.script(location, &name) else {
            if call.has("optional") {
                return Some(call);
            }
            self.error(pos, format!("included script '{}' does not exist", printable(&name)));
            return None;
        };
        self.build.included += 1;
        let at = self.build.units.len();
        self.build.units.push(Unit { name: key.clone(), body: Vec::new(), extensions: BTreeSet::from(["\0open"]) });
        self.build.chain.push(key.clone());
        let mut errors = Vec::new();
        let unit = self.build.unit(&key, &script, &mut errors);
        self.build.chain.pop();
        if let Some(slot) = self.build.units.get_mut(at) {
            *slot = unit;
        }
        if !errors.is_empty() {
            self.errors
                .extend(errors.into_iter().map(|e| Error { text: format!("{}: {}", printable(&name), e.text), ..e }));
            self.error(pos, format!("included script '{}' has errors", printable(&name)));
            return None;
        }
        call.unit = Some(at);
        Some(call)
    }

    fn include_refused(&self, key: &str, name: &str) -> Option<String> {
        let limits = self.build.library.limits();
        let circular = self.build.chain.iter().any(|c| c == key);
        if circular {
            return Some(format!("script '{}' includes itself", printable(name)));
        }
        if self.build.chain.len() > limits.include_depth {
            return Some(format!("includes nested more than {} deep", limits.include_depth));
        }
        (self.build.included >= limits.includes).then(|| format!("more than {} included scripts", limits.includes))
    }
}

/// RFC 5804 1.6 and RFC 6609 3.2: no separators, no control characters.
pub fn valid_script_name(name: &str) -> bool {
    let bad = |c: char| c.is_control() || matches!(c, '/' | '\u{2028}' | '\u{2029}');
    !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && !name.chars().any(bad)
}

fn mentions_ihave(node: &Node) -> bool {
    node.name == "ihave" || node.tests.iter().any(mentions_ihave)
}

impl Call {
    fn empty(spec: &'static Spec, pos: Pos) -> Self {
        Self {
            spec,
            pos,
            tags: Vec::new(),
            args: Vec::new(),
            tests: Vec::new(),
            block: Vec::new(),
            matcher: Matcher { kind: MatchType::Is, comparator: Comparator::AsciiCasemap },
            unit: None,
        }
    }
}

fn wrong_type(arg: &Arg, param: &Param, number: usize, what: &str) -> Error {
    let (kind, found) = (param.kind.describe(), describe(&arg.value));
    let text = format!("{what} expects a {kind} as argument {} ({}), but a {found} was found", number + 1, param.name);
    Error::new(arg.pos, text)
}

fn describe(value: &Raw) -> &'static str {
    match value {
        Raw::Number(_) => "number",
        Raw::Text(_) => "string",
        Raw::List(_) => "string list",
        Raw::Tag(_) => "tag",
    }
}

/// Script text in an error: one line, bounded.
pub(crate) fn printable(text: &str) -> String {
    text.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(script: &str) -> Vec<String> {
        compile("t", script.as_bytes(), &NoLibrary).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn right_scripts() {
        for script in [
            "",
            "require [\"fileinto\", \"copy\"]; if header :contains \"subject\" [\"a\", \"b\"] { fileinto :copy \"X\"; } else { keep; }",
            "require \"ihave\"; if ihave \"no-such\" { nonsense 1 2 3; }",
            "require \"ihave\"; if allof(ihave \"copy\", true) { redirect :copy \"a@example.com\"; }",
            "require [\"relational\", \"comparator-i;ascii-numeric\"]; if header :value \"ge\" :comparator \"i;ascii-numeric\" \"x\" \"3\" { stop; }",
            "if false { rubbish; } elsif true { keep; } else { rubbish; }",
        ] {
            assert_eq!(errors(script), Vec::<String>::new(), "{script}");
        }
    }

    #[test]
    fn wrong_scripts_say_where_and_why() {
        for (script, part) in [
            ("fileinto \"x\";", "1:1: unknown command 'fileinto' (require \"fileinto\" is missing)"),
            ("require \"nonsense\";", "unknown Sieve capability 'nonsense'"),
            ("keep;\nrequire \"copy\";", "2:1: require commands stand at the top"),
            ("if header :is \"a\" { keep; }", "the header test requires 2 positional arguments, but 1 is specified"),
            ("if header :is :contains \"a\" \"b\" { keep; }", "a second match type"),
            ("if header :comparator \"i;x\" \"a\" \"b\" {}", "unknown comparator 'i;x'"),
            ("else { keep; }", "without an 'if'"),
            ("keep true;", "accepts no tests"),
            ("header \"a\" \"b\";", "attempted to use test 'header' as a command"),
            (
                "require \"ihave\"; if ihave \"copy\" { keep; } redirect :copy \"a@b.example\";",
                "unknown tagged argument ':copy'",
            ),
        ] {
            let all = errors(script);
            assert!(all.len() == 1 && all.iter().any(|e| e.contains(part)), "{script}: {all:?}");
        }
    }
}
