//! What an administrator decides about scripts, and what the engine asks of the world around it.

use crate::check::Location;

/// Bounds on what a script may cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Octets of a script.
    pub script_size: usize,
    /// Included scripts in all.
    pub includes: usize,
    /// Nesting of includes.
    pub include_depth: usize,
    /// Commands and tests executed.
    pub steps: u64,
    /// Actions.
    pub actions: usize,
    /// Redirects.
    pub redirects: usize,
    /// Addresses of a list that a redirect goes to.
    pub list_members: usize,
    /// Notifications.
    pub notifications: usize,
    /// Octets of a variable.
    pub variable_size: usize,
    /// Different variables.
    pub variables: usize,
    /// Octets of a field a script adds.
    pub header_size: usize,
    /// Fields a script adds.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            script_size: 1 << 20,
            includes: 255,
            include_depth: 10,
            steps: 500_000,
            actions: 32,
            redirects: 4,
            list_members: 100,
            notifications: 10,
            variable_size: 4000,
            variables: 255,
            header_size: 2048,
            headers: 64,
        }
    }
}

/// How a field written by a scanner is read, RFC 5235.
#[derive(Debug, Clone, Default)]
pub struct ScanField {
    /// Name of the field with the score.
    pub header: String,
    /// A regular expression whose first group is the score; empty = the first number.
    pub pattern: String,
    /// How the value counts.
    pub style: ScanStyle,
    /// The score that means "surely spam"; 0: read it from `max_header`.
    pub max: f64,
    /// Field (and pattern) with that score.
    pub max_header: Option<(String, String)>,
    /// For [`ScanStyle::Text`]: values 0.. and their texts.
    pub texts: Vec<(u32, String)>,
}

/// How the value of a scanner's field counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScanStyle {
    /// A number.
    #[default]
    Score,
    /// As many as its characters.
    Length,
    /// One of the texts.
    Text,
}

/// Who the sender of mail made by a script is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum EnvelopeFrom {
    /// The sender of the message at hand.
    #[default]
    Sender,
    /// The (final) recipient.
    Recipient,
    /// The recipient as first given.
    OriginalRecipient,
    /// The owner's own address.
    User,
    /// The system's postmaster.
    Postmaster,
    /// This address.
    Fixed(String),
}

/// Administrator's choices.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Bounds.
    pub limits: Limits,
    /// Characters that separate user and detail, RFC 5233.
    pub separators: String,
    /// spamtest.
    pub spam: Option<ScanField>,
    /// virustest.
    pub virus: Option<ScanField>,
    /// Fields editheader may not touch: (name, may add, may delete).
    pub protected: Vec<(String, bool, bool)>,
    /// The owner's main address.
    pub user_address: Option<String>,
    /// Other addresses of the owner, for vacation.
    pub aliases: Vec<String>,
    /// The postmaster.
    pub postmaster: String,
    /// Host name, for message ids.
    pub hostname: String,
    /// Sender of redirected mail.
    pub redirect_from: EnvelopeFrom,
    /// Sender of notifications; `None`: as RFC 5436 2.3 says.
    pub notify_from: Option<EnvelopeFrom>,
    /// Sender of reports (vnd.dovecot.report).
    pub report_from: EnvelopeFrom,
    /// Shortest time between two vacation answers, seconds.
    pub vacation_min: u64,
    /// Longest.
    pub vacation_max: u64,
    /// The usual.
    pub vacation_default: u64,
    /// Subject where the message has none.
    pub vacation_subject: String,
    /// Subject where it has one; `%$` stands for it.
    pub vacation_subject_template: String,
    /// Answer only if the recipient is among the owner's addresses in To, Cc ...
    pub vacation_check_recipient: bool,
    /// Send vacation answers from the recipient instead of `<>`.
    pub vacation_from_recipient: bool,
    /// Take the first recipient address as one of the owner's.
    pub vacation_original_recipient: bool,
    /// Look for the answer's recipient in the header, not in the envelope.
    pub vacation_to_header: bool,
    /// Shortest memory of duplicates (`:seconds`) and its usual length.
    pub duplicate_default: u64,
    /// Longest memory of duplicates.
    pub duplicate_max: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            separators: "+".into(),
            spam: None,
            virus: None,
            protected: Vec::new(),
            user_address: None,
            aliases: Vec::new(),
            postmaster: "postmaster@localhost".into(),
            hostname: "localhost".into(),
            redirect_from: EnvelopeFrom::Sender,
            notify_from: None,
            report_from: EnvelopeFrom::Postmaster,
            vacation_min: 86_400,
            vacation_max: 0,
            vacation_default: 7 * 86_400,
            vacation_subject: "Automated reply".into(),
            vacation_subject_template: "Auto: %$".into(),
            vacation_check_recipient: true,
            vacation_from_recipient: false,
            vacation_original_recipient: false,
            vacation_to_header: false,
            duplicate_default: 12 * 3600,
            duplicate_max: 2 * 86_400,
        }
    }
}

/// Which external program a script starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// Gets the message, takes its place as destination.
    Pipe,
    /// Gets the message, prints the new one.
    Filter,
    /// Gets some input, prints a string.
    Execute,
}

impl ProgramKind {
    /// `pipe`, `filter` or `execute`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Filter => "filter",
            Self::Execute => "execute",
        }
    }
}

/// How an external program ended.
#[derive(Debug, Clone, Default)]
pub struct Ran {
    /// Exit code 0.
    pub success: bool,
    /// What it printed.
    pub output: Vec<u8>,
}

/// A program of a test suite, and how it is to run.
#[derive(Debug, Clone, Copy)]
pub struct SuiteProgram<'a> {
    /// The file.
    pub path: &'a str,
    /// Its arguments.
    pub args: &'a [String],
    /// Its standard input.
    pub input: Option<&'a [u8]>,
    /// Its environment.
    pub variables: &'a [(&'a str, &'a str)],
    /// Time limit in seconds; 0 for none that matters.
    pub seconds: u64,
}

/// What the engine asks of the world while a script runs. The defaults are those of an empty world.
pub trait Host {
    /// Seconds since 1970 UTC.
    fn now(&self) -> i64;

    /// Minutes east of UTC of the local clock at a moment.
    fn zone(&self, moment: i64) -> i32 {
        let _ = moment;
        0
    }

    /// An environment item (RFC 5183 4.1) or `vnd.dovecot.*` one.
    fn environment(&self, name: &str) -> Option<String> {
        let _ = name;
        None
    }

    /// Can mail be filed there now?
    fn mailbox_exists(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// A METADATA entry of a mailbox, or of the server.
    fn metadata(&self, mailbox: Option<&str>, name: &str) -> Option<String> {
        let _ = (mailbox, name);
        None
    }

    /// Has this mailbox (any, when `None`) that special use?
    fn special_use(&self, mailbox: Option<&str>, flag: &str) -> bool {
        let _ = (mailbox, flag);
        false
    }

    /// The mailbox with that MAILBOXID.
    fn mailbox_by_id(&self, id: &str) -> Option<String> {
        let _ = id;
        None
    }

    /// Was that key seen and not yet forgotten? (duplicate)
    fn duplicate_seen(&self, key: &str) -> bool {
        let _ = key;
        false
    }

    /// All entries of an external list; `None`: no such list.
    fn list_members(&self, list: &str) -> Option<Vec<String>> {
        let _ = list;
        None
    }

    /// Is the value in an external list? `None`: no such list.
    fn in_list(&self, list: &str, value: &str) -> Option<bool> {
        Some(self.list_members(list)?.iter().any(|member| member.eq_ignore_ascii_case(value)))
    }

    /// Runs a program of the administrator's directory.
    ///
    /// # Errors
    /// A text when it cannot be run.
    fn run_program(
        &mut self,
        kind: ProgramKind,
        name: &str,
        args: &[String],
        input: Option<&[u8]>,
    ) -> Result<Ran, String> {
        let _ = (kind, args, input);
        Err(format!("program '{name}' is not available"))
    }

    /// debug_log, and warnings.
    fn log(&mut self, text: &str) {
        let _ = text;
    }

    /// A step of the script, for `--trace`.
    fn trace(&mut self, line: u32, text: &str) {
        let _ = (line, text);
    }

    /// A number never given twice, for message ids.
    fn unique(&mut self) -> String {
        format!("{:x}", self.now())
    }

    /// True when the time for this script is over.
    fn out_of_time(&self) -> bool {
        false
    }

    /// Runs a program of a test suite.
    ///
    /// # Errors
    /// A text when it cannot be run, or takes too long.
    fn suite_program(&mut self, program: &SuiteProgram<'_>) -> Result<Ran, String> {
        Err(format!("program '{}' is not available", program.path))
    }

    /// A script by name, for commands of a test suite.
    fn suite_script(&self, name: &str) -> Option<Vec<u8>> {
        let _ = name;
        None
    }

    /// An included script, for commands of a test suite.
    fn suite_include(&self, location: Location, name: &str) -> Option<Vec<u8>> {
        let _ = (location, name);
        None
    }
}
