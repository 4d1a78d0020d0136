//! The state machine of a conversation.
//!
//! Standards   RFC 5321 3 and 4.1.4 (order of commands), 2920 (replies may be gathered while input is left), 3030, 3207, 4954
//! Invariants  1. each command gets exactly one reply (LMTP content: one per accepted recipient), in order
//!             2. a transaction is gone after its content was answered, after RSET, a greeting, TLS or a refused chunk:
//!                one function, `reset`, forgets it
//!             3. the octets of a refused chunk are never read as commands
//! Use         one request at a time: after a [`Step::Request`] or [`Step::ContentEnd`] the caller answers before it steps on

use super::chunk::ChunkDecoder;
use super::command::{Command, CommandError, HelloVerb, parse};
use super::data::{Content, DataDecoder, Problem};
use super::is_base64;
use super::line::{COMMAND_MAX, Line, LineReader};
use super::offer::Offer;
use super::reply::Reply;
use super::state::{Mode, Pending, Role, Settings, Transaction};
use penny_addr::{Charset, ForwardPath, MailParams, RcptParams, ReversePath};

/// A question only the caller can decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// HELO, EHLO or LHLO with the client's name; [`Machine::accept_hello`] says yes.
    Hello(HelloVerb, String),
    /// MAIL: 2xx begins a transaction.
    Mail(ReversePath, Box<MailParams>),
    /// RCPT: 2xx adds a recipient.
    Rcpt(ForwardPath, Box<RcptParams>),
    /// DATA: 354 makes the content follow.
    Data,
    /// The first BDAT of a message: 354 (which is not sent) makes its octets follow.
    Chunk,
    /// VRFY
    Vrfy(String),
    /// EXPN
    Expn(String),
    /// STARTTLS: after 220 the caller switches and calls [`Machine::tls_started`].
    StartTls,
    /// AUTH with its initial response (base64 or `=`): 334 asks for more, 235 is success.
    Auth(String, Option<String>),
    /// The next response of a SASL exchange (base64 or empty).
    AuthResponse(String),
    /// The client gave the exchange up with `*`, or sent what is no base64 (`false`).
    AuthAbort(bool),
    /// XCLIENT with its arguments: 220 begins the session anew.
    Xclient(String),
    /// XFORWARD with its arguments.
    Xforward(String),
    /// QUIT: the caller answers 221; the machine closes.
    Quit,
}

/// What a step led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All input is used: write the output, read more.
    NeedInput,
    /// Decide and answer.
    Request(Request),
    /// A message is complete (or refused): answer with [`Machine::answer`] or [`Machine::answer_each`].
    ContentEnd(Content),
    /// The transaction was given up; forget it. Nothing to answer.
    Reset,
    /// Write the output and close.
    Closed,
}

/// One conversation.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    offer: Offer,
    reader: LineReader,
    mode: Mode,
    pending: Pending,
    out: Vec<u8>,
    hello: Option<HelloVerb>,
    refused: bool,
    tls: bool,
    authenticated: bool,
    transaction: Option<Transaction>,
    errors: usize,
    junk: usize,
    mails: usize,
    notes: Vec<(String, Reply)>,
}

impl Machine {
    /// A conversation that has not greeted yet.
    pub fn new(settings: Settings, offer: Offer, tls: bool) -> Self {
        Self {
            settings,
            offer,
            reader: LineReader::default(),
            mode: Mode::Command,
            pending: Pending::Nothing,
            out: Vec::new(),
            hello: None,
            refused: false,
            tls,
            authenticated: false,
            transaction: None,
            errors: 0,
            junk: 0,
            mails: 0,
            notes: Vec::new(),
        }
    }

    /// Writes the opening reply: 220 opens the session, 554 leaves only QUIT (RFC 5321 3.1), 421 closes.
    pub fn greet(&mut self, reply: &Reply) {
        self.say(reply);
        self.refused = !reply.is_success();
        if reply.code() == 421 {
            self.mode = Mode::Closed;
        }
    }

    /// What the transaction has agreed on, for commands and replies (RFC 6531 3.4, 3.7.4).
    fn charset(&self) -> Charset {
        if self.transaction.as_ref().is_some_and(|t| t.utf8) { Charset::Utf8 } else { Charset::Ascii }
    }

    fn say(&mut self, reply: &Reply) {
        let charset = self.charset();
        reply.write(&mut self.out, charset);
    }

    /// Changes what is announced, after TLS, AUTH or XCLIENT.
    pub fn set_offer(&mut self, offer: Offer) {
        self.offer = offer;
    }

    /// Takes the octets to write.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Whether there is something to write.
    pub fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Refusals the machine decided by itself since the last call: what was said (shortened) and the reply.
    pub fn take_notes(&mut self) -> Vec<(String, Reply)> {
        std::mem::take(&mut self.notes)
    }

    /// The greeting the client used, if it has.
    pub fn hello(&self) -> Option<HelloVerb> {
        self.hello
    }

    /// Whether the client has authenticated.
    pub fn authenticated(&self) -> bool {
        self.authenticated
    }

    /// Errors so far.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Recipients accepted in this transaction.
    pub fn recipients(&self) -> usize {
        self.transaction.as_ref().map_or(0, |t| t.accepted)
    }

    /// Whether content is being read (the time limits differ, RFC 5321 4.5.3.2).
    pub fn in_content(&self) -> bool {
        matches!(self.mode, Mode::Data(_) | Mode::Chunk { .. } | Mode::Discard { .. })
    }

    /// Whether nothing is half read or open: the right time for a polite close.
    pub fn is_idle(&self) -> bool {
        matches!(self.mode, Mode::Command) && !self.reader.is_mid_line() && self.transaction.is_none()
    }

    /// Ends the conversation with a 421 or other reply.
    pub fn close(&mut self, reply: &Reply) {
        self.say(reply);
        self.mode = Mode::Closed;
        self.pending = Pending::Nothing;
    }

    /// Works on `input`; content goes to `sink`. Gives the octets used and what to do.
    pub fn step(&mut self, input: &[u8], sink: &mut Vec<u8>) -> (usize, Step) {
        debug_assert_eq!(self.pending, Pending::Nothing, "step before the answer");
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            let (n, step) = match self.mode {
                Mode::Closed => (rest.len(), Some(Step::Closed)),
                Mode::Command | Mode::Auth => self.step_line(rest),
                Mode::Data(_) => self.step_data(rest, sink),
                Mode::Chunk { .. } => self.step_chunk(rest, sink),
                Mode::Discard { .. } => self.step_discard(rest),
            };
            used += n;
            if let Some(step) = step {
                return (used, step);
            }
        }
    }

    fn step_line(&mut self, rest: &[u8]) -> (usize, Option<Step>) {
        let (used, line) = self.reader.feed(rest);
        let step = match line {
            None => Some(Step::NeedInput),
            Some(Line::Text(text)) => self.line(text),
            Some(Line::BareLf(text)) if self.settings.quirk_bare_lf => self.line(text),
            Some(Line::BareLf(_) | Line::BareCr) => self.bad_line("line must end in CRLF and hold no other CR or LF"),
            Some(Line::TooLong) => self.bad_line("line too long"),
            Some(Line::Endless) => {
                self.close(&Reply::new(500, "5.5.2", "line too long"));
                None
            }
        };
        (used, step)
    }

    /// A line that is no command ends a SASL exchange too.
    fn bad_line(&mut self, text: &'static str) -> Option<Step> {
        if matches!(self.mode, Mode::Auth) {
            return self.ask(Pending::Auth, Request::AuthAbort(false));
        }
        self.fail("?", Reply::new(500, "5.5.2", text))
    }

    fn line(&mut self, text: Vec<u8>) -> Option<Step> {
        if matches!(self.mode, Mode::Auth) {
            return self.auth_line(&text);
        }
        let auth = text.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        if text.len() > COMMAND_MAX && !auth {
            return self.bad_line("line too long");
        }
        match parse(&text, self.charset()) {
            Ok(command) => self.command(command),
            Err(error) => self.syntax(&text, error),
        }
    }

    /// RFC 4954 4: `*` cancels; anything but base64 is an error.
    fn auth_line(&mut self, text: &[u8]) -> Option<Step> {
        let text = String::from_utf8_lossy(text);
        self.ask(
            Pending::Auth,
            match text.as_ref() {
                "*" => Request::AuthAbort(true),
                text if text.is_empty() || is_base64(text) => Request::AuthResponse(text.to_owned()),
                _ => Request::AuthAbort(false),
            },
        )
    }

    fn syntax(&mut self, line: &[u8], error: CommandError) -> Option<Step> {
        let line = String::from_utf8_lossy(line.get(..80).unwrap_or(line)).into_owned();
        match error {
            CommandError::BadOctet => {
                self.fail(&line, Reply::new(500, "5.5.2", "control character or invalid UTF-8 in command"))
            }
            CommandError::Unknown => self.fail(&line, Reply::new(500, "5.5.1", "command not recognised")),
            CommandError::Syntax(usage) => self.fail(&line, Reply::new(501, "5.5.4", format!("syntax: {usage}"))),
            CommandError::Address(e, sender) => self.fail(&line, Reply::new(e.code(), e.status(sender), e.text())),
            CommandError::Http => self.fail_closing(&line, Reply::new(521, "5.5.1", "this is SMTP, not HTTP")),
            CommandError::ChunkSize => {
                self.fail_closing(&line, Reply::new(521, "5.5.4", "bad chunk size: cannot go on"))
            }
        }
    }

    fn command(&mut self, command: Command) -> Option<Step> {
        if self.refused && command != Command::Quit {
            return self.fail("", Reply::new(503, "5.5.1", "only QUIT is allowed"));
        }
        match command {
            Command::Hello(verb, name) => self.hello_command(verb, name),
            Command::Mail(path, params) => self.mail(path, params),
            Command::Rcpt(path, params) => self.rcpt(path, params),
            Command::Data => self.data(),
            Command::Bdat(size, last) => self.bdat(size, last),
            Command::Rset => self.rset(),
            Command::Noop => self.junk(Reply::new(250, "2.0.0", "OK")),
            Command::Help => self.junk(Reply::new(214, "2.0.0", "RFC 5321 and what EHLO lists; see smtpd(8)")),
            Command::Quit => self.ask(Pending::Other, Request::Quit),
            Command::Vrfy(text) => self.count_junk().or_else(|| self.ask(Pending::Other, Request::Vrfy(text))),
            Command::Expn(text) => self.count_junk().or_else(|| self.ask(Pending::Other, Request::Expn(text))),
            Command::StartTls => self.starttls(),
            Command::Auth(mechanism, initial) => self.auth(mechanism, initial),
            Command::Xclient(args) => self.xclient(args),
            Command::Xforward(args) => self.xforward(args),
            Command::NotOffered => self.fail("", Reply::new(502, "5.5.1", "command not implemented")),
        }
    }

    fn ask(&mut self, pending: Pending, request: Request) -> Option<Step> {
        self.pending = pending;
        Some(Step::Request(request))
    }

    /// LMTP knows LHLO only, SMTP does not know it (RFC 2033 4.1).
    fn hello_command(&mut self, verb: HelloVerb, name: String) -> Option<Step> {
        if (self.settings.role == Role::Lmtp) != (verb == HelloVerb::Lhlo) {
            return self.fail("", Reply::new(500, "5.5.1", "wrong greeting for this protocol"));
        }
        self.ask(Pending::Hello(verb), Request::Hello(verb, name))
    }

    fn mail(&mut self, path: ReversePath, params: Box<MailParams>) -> Option<Step> {
        if self.hello.is_none() {
            return self.fail("", Reply::new(503, "5.5.1", "say hello first"));
        }
        if self.transaction.is_some() {
            return self.fail("", Reply::new(503, "5.5.1", "nested MAIL command"));
        }
        if let Err(e) = self.offer.allows_mail(&params) {
            return self.fail("MAIL", Reply::new(e.code(), e.status(true), e.text()));
        }
        if self.settings.mail_max > 0 && self.mails >= self.settings.mail_max {
            return self.soft_fail("MAIL", Reply::new(451, "4.5.3", "too many messages on this connection"));
        }
        let limit = self.settings.policy.size_max;
        if limit > 0 && params.size.is_some_and(|size| size > limit) {
            return self.fail("MAIL", Reply::new(552, "5.3.4", "message too large")); // RFC 1870 6.1
        }
        let binary = params.body == Some(penny_addr::Body::Binary);
        self.ask(Pending::Mail { utf8: params.smtputf8, binary }, Request::Mail(path, params))
    }

    fn rcpt(&mut self, path: ForwardPath, params: Box<RcptParams>) -> Option<Step> {
        let most = self.settings.rcpt_max;
        let Some(transaction) = self.transaction.as_mut() else {
            return self.fail("", Reply::new(503, "5.5.1", "MAIL first"));
        };
        if transaction.chunks.is_some() {
            return self.fail("", Reply::new(503, "5.5.1", "BDAT has begun"));
        }
        transaction.attempts += 1;
        let attempts = transaction.attempts;
        if attempts > most.saturating_mul(10) {
            return self.fail_closing("RCPT", Reply::new(421, "4.5.3", "far too many recipients"));
        }
        if transaction.accepted >= most {
            return self.soft_fail("RCPT", Reply::new(452, "4.5.3", "too many recipients")); // RFC 5321 4.5.3.1.10
        }
        if let Err(e) = self.offer.allows_rcpt(&params) {
            return self.fail("RCPT", Reply::new(e.code(), e.status(false), e.text()));
        }
        self.ask(Pending::Rcpt, Request::Rcpt(path, params))
    }

    /// Why content may not come now.
    fn content_refusal(&self) -> Option<Reply> {
        match &self.transaction {
            None => Some(Reply::new(503, "5.5.1", "MAIL first")),
            Some(t) if t.accepted > 0 => None,
            // RFC 2033 4.2 and RFC 5321 3.3
            Some(t) if t.attempts == 0 || self.settings.role == Role::Lmtp => {
                Some(Reply::new(503, "5.5.1", "RCPT first"))
            }
            Some(_) => Some(Reply::new(554, "5.5.1", "no valid recipients")),
        }
    }

    fn data(&mut self) -> Option<Step> {
        if let Some(reply) = self.content_refusal() {
            return self.fail("DATA", reply);
        }
        // RFC 3030 2 and 3: not after BDAT, not with BINARYMIME
        if self.transaction.as_ref().is_some_and(|t| t.chunks.is_some() || t.binary) {
            return self.fail("DATA", Reply::new(503, "5.5.1", "BDAT is in use"));
        }
        self.ask(Pending::Data, Request::Data)
    }

    fn bdat(&mut self, size: u64, last: bool) -> Option<Step> {
        if !self.offer.chunking {
            return self.fail_closing("BDAT", Reply::new(521, "5.5.1", "CHUNKING is not offered: cannot go on"));
        }
        let limit = self.settings.policy.size_max;
        // A chunk nobody would ever finish is not worth reading to its end.
        if size > limit.max(1 << 20).saturating_mul(4) && limit > 0 || size > 1 << 50 {
            return self.fail_closing("BDAT", Reply::new(552, "5.3.4", "chunk too large"));
        }
        if let Some(reply) = self.content_refusal() {
            self.mode = Mode::Discard { left: size, reply };
            return None;
        }
        if self.transaction.as_ref().is_some_and(|t| t.chunks.is_some()) {
            self.mode = Mode::Chunk { left: size, last };
            return None;
        }
        self.ask(Pending::Chunk { size, last }, Request::Chunk)
    }

    fn rset(&mut self) -> Option<Step> {
        if let Some(step) = self.junk(Reply::new(250, "2.0.0", "OK")) {
            return Some(step);
        }
        self.reset();
        Some(Step::Reset)
    }

    fn starttls(&mut self) -> Option<Step> {
        if self.tls {
            return self.fail("STARTTLS", Reply::new(503, "5.5.1", "TLS is active already"));
        }
        if !self.offer.starttls {
            return self.fail("STARTTLS", Reply::new(502, "5.5.1", "STARTTLS is not offered"));
        }
        self.ask(Pending::StartTls, Request::StartTls)
    }

    /// RFC 4954 4: once, and not during a transaction.
    fn auth(&mut self, mechanism: String, initial: Option<String>) -> Option<Step> {
        if self.hello.is_none() {
            return self.fail("AUTH", Reply::new(503, "5.5.1", "say hello first"));
        }
        if self.authenticated || self.transaction.is_some() {
            return self.fail("AUTH", Reply::new(503, "5.5.1", "AUTH is not allowed now"));
        }
        if self.offer.auth.is_empty() {
            let text = "Encryption required for requested authentication mechanism";
            let hidden = self.offer.starttls && !self.tls;
            let none = Reply::new(503, "5.5.1", "AUTH is not offered");
            return self.fail("AUTH", if hidden { Reply::new(538, "5.7.11", text) } else { none });
        }
        if !self.offer.auth.contains(&mechanism) {
            return self.fail("AUTH", Reply::new(504, "5.5.4", "mechanism not offered"));
        }
        self.ask(Pending::Auth, Request::Auth(mechanism, initial))
    }

    fn xclient(&mut self, args: String) -> Option<Step> {
        if self.offer.xclient.is_empty() {
            return self.fail("XCLIENT", Reply::new(550, "5.7.0", "XCLIENT is not allowed"));
        }
        if self.transaction.is_some() {
            return self.fail("XCLIENT", Reply::new(503, "5.5.1", "not during a transaction"));
        }
        self.ask(Pending::Xclient, Request::Xclient(args))
    }

    fn xforward(&mut self, args: String) -> Option<Step> {
        if self.offer.xforward.is_empty() {
            return self.fail("XFORWARD", Reply::new(550, "5.7.0", "XFORWARD is not allowed"));
        }
        if self.transaction.is_some() {
            return self.fail("XFORWARD", Reply::new(503, "5.5.1", "not during a transaction"));
        }
        self.ask(Pending::Other, Request::Xforward(args))
    }

    fn junk(&mut self, reply: Reply) -> Option<Step> {
        let step = self.count_junk();
        if step.is_none() && !matches!(self.mode, Mode::Closed) {
            self.say(&reply);
        }
        step
    }

    /// Counts a command that does no work; too many are errors.
    fn count_junk(&mut self) -> Option<Step> {
        self.junk += 1;
        if self.junk > self.settings.junk_max { self.error_counted() } else { None }
    }

    fn step_data(&mut self, rest: &[u8], sink: &mut Vec<u8>) -> (usize, Option<Step>) {
        let Mode::Data(decoder) = &mut self.mode else { return (0, None) };
        match decoder.feed(rest, sink) {
            (used, Some(facts)) => (used, self.content_end(facts)),
            (used, None) => (used, Some(Step::NeedInput)),
        }
    }

    fn step_chunk(&mut self, rest: &[u8], sink: &mut Vec<u8>) -> (usize, Option<Step>) {
        let (Mode::Chunk { left, last }, Some(decoder)) =
            (&mut self.mode, self.transaction.as_mut().and_then(|t| t.chunks.as_mut()))
        else {
            self.mode = Mode::Command;
            return (0, None);
        };
        let used = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
        decoder.feed(rest.get(..used).unwrap_or_default(), sink);
        *left -= used as u64;
        if *left > 0 {
            return (used, Some(Step::NeedInput));
        }
        if *last {
            let facts = decoder.finish(sink);
            return (used, self.content_end(facts));
        }
        if decoder.facts().problem.is_some() {
            let facts = decoder.facts();
            return (used, self.content_end(facts));
        }
        self.mode = Mode::Command;
        self.say(&Reply::new(250, "2.0.0", "chunk received"));
        (used, None)
    }

    fn step_discard(&mut self, rest: &[u8]) -> (usize, Option<Step>) {
        let Mode::Discard { left, reply } = &mut self.mode else { return (0, None) };
        let used = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
        *left -= used as u64;
        if *left > 0 {
            return (used, Some(Step::NeedInput));
        }
        let reply = reply.clone();
        self.mode = Mode::Command;
        let had = self.transaction.is_some();
        self.reset();
        let step = self.fail("BDAT", reply);
        (used, step.or(had.then_some(Step::Reset)))
    }

    fn content_end(&mut self, facts: Content) -> Option<Step> {
        self.mode = Mode::Command;
        self.pending = Pending::Content;
        Some(Step::ContentEnd(facts))
    }

    /// The reply for content that broke a rule.
    pub fn problem_reply(problem: Problem) -> Reply {
        match problem {
            Problem::BareCr => Reply::new(554, "5.6.0", "message holds a bare CR"),
            Problem::BareLf => Reply::new(554, "5.6.0", "message holds a bare LF"),
            Problem::Nul => Reply::new(554, "5.6.0", "message holds a NUL"),
            Problem::TooBig => Reply::new(552, "5.3.4", "message too large"),
            Problem::LineTooLong => Reply::new(554, "5.6.0", "message holds a line that is too long"),
        }
    }

    /// Says yes to a greeting: EHLO and LHLO get the keywords.
    pub fn accept_hello(&mut self, greeting: &str) {
        let Pending::Hello(verb) = std::mem::replace(&mut self.pending, Pending::Nothing) else { return };
        let mut lines = vec![format!("{} {greeting}", self.settings.hostname)];
        if verb != HelloVerb::Helo {
            lines.extend(self.offer.keywords());
        }
        self.say(&Reply::lines(250, lines));
        self.reset(); // RFC 5321 4.1.4: a greeting acts as RSET
        self.hello = Some(verb);
    }

    /// Answers the last request.
    pub fn answer(&mut self, reply: Reply) {
        let pending = std::mem::replace(&mut self.pending, Pending::Nothing);
        if let (Pending::Chunk { size, last }, 354) = (pending, reply.code()) {
            return self.begin_chunks(size, last);
        }
        if let Pending::Chunk { size, .. } = pending {
            self.mode = Mode::Discard { left: size, reply };
            return;
        }
        // RFC 6531 3.7.4: the reply to a MAIL with SMTPUTF8 may be UTF-8 already
        let utf8 = matches!(pending, Pending::Mail { utf8: true, .. });
        let charset = if utf8 { Charset::Utf8 } else { self.charset() };
        reply.write(&mut self.out, charset);
        self.apply(pending, &reply);
        if reply.code() == 421 {
            self.mode = Mode::Closed;
        }
    }

    /// Answers content in LMTP: one reply per accepted recipient.
    pub fn answer_each(&mut self, replies: &[Reply]) {
        for reply in replies {
            self.say(reply);
        }
        if std::mem::replace(&mut self.pending, Pending::Nothing) == Pending::Content {
            self.mails += 1;
            self.reset();
        }
    }

    fn apply(&mut self, pending: Pending, reply: &Reply) {
        match pending {
            Pending::Mail { utf8, binary } if reply.is_success() => {
                self.transaction = Some(Transaction { utf8, binary, ..Transaction::default() });
            }
            Pending::Rcpt if reply.is_success() => {
                if let Some(t) = self.transaction.as_mut() {
                    t.accepted += 1;
                }
            }
            Pending::Data if reply.code() == 354 => self.mode = Mode::Data(DataDecoder::new(self.settings.policy)),
            Pending::Data | Pending::Content => {
                self.mails += usize::from(reply.is_success());
                self.reset();
            }
            Pending::Auth => self.apply_auth(reply),
            Pending::Xclient if reply.is_success() => self.start_over(),
            Pending::Other if reply.code() == 221 => self.mode = Mode::Closed,
            _ => {}
        }
        if reply.code() / 100 == 5 && pending != Pending::Content {
            self.error_counted();
        }
    }

    fn apply_auth(&mut self, reply: &Reply) {
        self.mode = if reply.code() == 334 { Mode::Auth } else { Mode::Command };
        self.authenticated = reply.is_success();
    }

    fn begin_chunks(&mut self, size: u64, last: bool) {
        let policy = self.settings.policy;
        if let Some(t) = self.transaction.as_mut() {
            t.chunks = Some(ChunkDecoder::new(policy, t.binary));
        }
        self.mode = Mode::Chunk { left: size, last };
    }

    /// TLS is on: everything known from before is forgotten (RFC 3207 4.2).
    pub fn tls_started(&mut self) {
        self.tls = true;
        self.start_over();
    }

    fn start_over(&mut self) {
        self.hello = None;
        self.authenticated = false;
        self.reset();
    }

    fn reset(&mut self) {
        self.transaction = None;
    }

    fn fail(&mut self, line: &str, reply: Reply) -> Option<Step> {
        self.soft_fail(line, reply);
        self.error_counted()
    }

    fn soft_fail(&mut self, line: &str, reply: Reply) -> Option<Step> {
        self.say(&reply);
        if self.notes.len() < 16 {
            self.notes.push((line.to_owned(), reply));
        }
        None
    }

    fn fail_closing(&mut self, line: &str, reply: Reply) -> Option<Step> {
        self.soft_fail(line, reply);
        self.mode = Mode::Closed;
        None
    }

    fn error_counted(&mut self) -> Option<Step> {
        self.errors += 1;
        if self.errors >= self.settings.errors_max && !matches!(self.mode, Mode::Closed) {
            self.fail_closing("", Reply::new(421, "4.7.0", "too many errors"));
        }
        None
    }
}
