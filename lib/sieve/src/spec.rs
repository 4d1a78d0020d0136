//! The vocabulary: every command and test with its arguments, its extension and the function that does it.
//!
//! Standards   as named beside each line

use crate::check::Call;
use crate::exec::{self, Failed, Flow};
use crate::machine::Machine;
use crate::testsuite;

/// Type of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Text,
    List,
}

impl Kind {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Text => "string",
            Self::List => "string list",
        }
    }
}

/// A positional argument.
#[derive(Debug)]
pub(crate) struct Param {
    pub name: &'static str,
    pub kind: Kind,
    pub optional: bool,
}

/// A tagged argument.
#[derive(Debug)]
pub(crate) struct Tag {
    pub name: &'static str,
    /// Needed beside the command's own; empty = none.
    pub ext: &'static str,
    pub value: Option<Kind>,
    /// Of a group (not empty) only one may be given.
    pub group: &'static str,
}

/// What may stand behind the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tests {
    No,
    One,
    List,
}

pub(crate) type Run = fn(&mut Machine<'_>, &Call) -> Result<Flow, Failed>;
pub(crate) type Eval = fn(&mut Machine<'_>, &Call) -> Result<bool, Failed>;

/// A command, a test, or both.
#[derive(Debug)]
pub(crate) struct Spec {
    pub name: &'static str,
    /// Extensions any of which allows it; empty = base.
    pub ext: &'static [&'static str],
    pub args: &'static [Param],
    pub tags: &'static [&'static [Tag]],
    pub tests: Tests,
    pub block: bool,
    pub run: Option<Run>,
    pub eval: Option<Eval>,
}

impl Spec {
    pub(crate) fn tags(&self) -> impl Iterator<Item = &'static Tag> {
        self.tags.iter().flat_map(|group| group.iter())
    }

    pub(crate) fn find_tag(&self, name: &str) -> Option<&'static Tag> {
        self.tags().find(|t| t.name == name)
    }

    pub(crate) fn has_match_type(&self) -> bool {
        self.find_tag("is").is_some()
    }
}

const fn num(name: &'static str) -> Param {
    Param { name, kind: Kind::Number, optional: false }
}
const fn text(name: &'static str) -> Param {
    Param { name, kind: Kind::Text, optional: false }
}
const fn list(name: &'static str) -> Param {
    Param { name, kind: Kind::List, optional: false }
}
const fn opt(param: Param) -> Param {
    Param { name: param.name, kind: param.kind, optional: true }
}
const fn flag(name: &'static str) -> Tag {
    Tag { name, ext: "", value: None, group: "" }
}
const fn with(name: &'static str, kind: Kind) -> Tag {
    Tag { name, ext: "", value: Some(kind), group: "" }
}
const fn of(group: &'static str, tag: Tag) -> Tag {
    Tag { name: tag.name, ext: tag.ext, value: tag.value, group }
}
const fn needs(ext: &'static str, tag: Tag) -> Tag {
    Tag { name: tag.name, ext, value: tag.value, group: tag.group }
}

use Kind::{List, Number, Text};

/// RFC 5228 2.7.1 and 2.7.3; RFC 5231; draft regex; RFC 6134.
const MATCH: &[Tag] = &[
    of("match type", flag("is")),
    of("match type", flag("contains")),
    of("match type", flag("matches")),
    needs("regex", of("match type", flag("regex"))),
    needs("relational", of("match type", with("value", Text))),
    needs("relational", of("match type", with("count", Text))),
    needs("extlists", of("match type", flag("list"))),
    with("comparator", Text),
];
/// RFC 5228 2.7.4; RFC 5233.
const PART: &[Tag] = &[
    of("address part", flag("localpart")),
    of("address part", flag("domain")),
    of("address part", flag("all")),
    needs("subaddress", of("address part", flag("user"))),
    needs("subaddress", of("address part", flag("detail"))),
];
/// RFC 5260 6.
const INDEX: &[Tag] = &[needs("index", with("index", Number)), needs("index", flag("last"))];
/// RFC 5703 4.
const MIME: &[Tag] = &[needs("mime", flag("mime")), needs("mime", flag("anychild"))];
/// RFC 5703 4.1.
const MIME_OPTS: &[Tag] = &[
    needs("mime", of("MIME option", flag("type"))),
    needs("mime", of("MIME option", flag("subtype"))),
    needs("mime", of("MIME option", flag("contenttype"))),
    needs("mime", of("MIME option", with("param", List))),
];
/// RFC 5232 5; RFC 5490 3.2; RFC 8579 4; RFC 9042 4.
const FLAGS: &[Tag] = &[needs("imap4flags", with("flags", List))];
const MAILBOX: &[Tag] = &[
    needs("mailbox", flag("create")),
    needs("special-use", with("specialuse", Text)),
    needs("mailboxid", with("mailboxid", Text)),
];
/// RFC 3894.
const COPY: &[Tag] = &[needs("copy", flag("copy"))];
/// RFC 8580.
const FCC: &[Tag] = &[needs("fcc", with("fcc", Text))];
/// RFC 5229 4.1, RFC 5703 7 with RFC 5435 for encodeurl, draft regex for quoteregex.
const MODIFIERS: &[Tag] = &[
    flag("lower"),
    flag("upper"),
    flag("lowerfirst"),
    flag("upperfirst"),
    flag("quotewildcard"),
    needs("regex", flag("quoteregex")),
    needs("enotify", flag("encodeurl")),
    flag("length"),
];
/// RFC 5260 4.
const ZONE: &[Tag] = &[of("zone", with("zone", Text))];

const NONE: Spec =
    Spec { name: "", ext: &[], args: &[], tags: &[], tests: Tests::No, block: false, run: None, eval: None };

/// Everything but `if` and `require`, which the checker knows itself.
pub(crate) static SPECS: &[Spec] = &[
    // RFC 5228 3 and 4
    Spec { name: "stop", run: Some(exec::control::stop), ..NONE },
    Spec { name: "keep", tags: &[FLAGS], run: Some(exec::action::keep), ..NONE },
    Spec { name: "discard", run: Some(exec::action::discard), ..NONE },
    Spec {
        name: "fileinto",
        ext: &["fileinto"],
        args: &[text("folder")],
        tags: &[COPY, FLAGS, MAILBOX],
        run: Some(exec::action::fileinto),
        ..NONE
    },
    Spec {
        name: "redirect",
        args: &[text("address")],
        tags: &[
            COPY,
            &[
                needs("extlists", flag("list")),
                needs("redirect-dsn", with("notify", Text)),
                needs("redirect-dsn", with("ret", Text)),
                needs("redirect-deliverby", of("time", with("bytimerelative", Number))),
                needs("redirect-deliverby", of("time", with("bytimeabsolute", Text))),
                needs("redirect-deliverby", with("bymode", Text)),
                needs("redirect-deliverby", flag("bytrace")),
            ],
        ],
        run: Some(exec::action::redirect),
        ..NONE
    },
    // RFC 5228 5
    Spec {
        name: "address",
        args: &[list("header list"), list("key list")],
        tags: &[MATCH, PART, INDEX, MIME],
        eval: Some(exec::test::address),
        ..NONE
    },
    Spec { name: "allof", tests: Tests::List, eval: Some(exec::control::allof), ..NONE },
    Spec { name: "anyof", tests: Tests::List, eval: Some(exec::control::anyof), ..NONE },
    Spec {
        name: "envelope",
        ext: &["envelope"],
        args: &[list("envelope part"), list("key list")],
        tags: &[MATCH, PART],
        eval: Some(exec::test::envelope),
        ..NONE
    },
    Spec { name: "exists", args: &[list("header names")], tags: &[MIME], eval: Some(exec::test::exists), ..NONE },
    Spec { name: "false", eval: Some(exec::control::never), ..NONE },
    Spec {
        name: "header",
        args: &[list("header names"), list("key list")],
        tags: &[MATCH, INDEX, MIME, MIME_OPTS],
        eval: Some(exec::test::header),
        ..NONE
    },
    Spec { name: "not", tests: Tests::One, eval: Some(exec::control::not), ..NONE },
    Spec {
        name: "size",
        args: &[num("limit")],
        tags: &[&[of("relation", flag("over")), of("relation", flag("under"))]],
        eval: Some(exec::test::size),
        ..NONE
    },
    Spec { name: "true", eval: Some(exec::control::always), ..NONE },
    // RFC 5173
    Spec {
        name: "body",
        ext: &["body"],
        args: &[list("key list")],
        tags: &[
            MATCH,
            &[
                of("body transform", flag("raw")),
                of("body transform", with("content", List)),
                of("body transform", flag("text")),
            ],
        ],
        eval: Some(exec::body::body),
        ..NONE
    },
    // RFC 5183
    Spec {
        name: "environment",
        ext: &["environment"],
        args: &[text("name"), list("key list")],
        tags: &[MATCH],
        eval: Some(exec::test::environment),
        ..NONE
    },
    // RFC 5229
    Spec {
        name: "set",
        ext: &["variables"],
        args: &[text("name"), text("value")],
        tags: &[MODIFIERS],
        run: Some(exec::variables::set),
        ..NONE
    },
    Spec {
        name: "string",
        ext: &["variables"],
        args: &[list("source"), list("key list")],
        tags: &[MATCH],
        eval: Some(exec::test::string),
        ..NONE
    },
    // RFC 5230, 6131
    Spec {
        name: "vacation",
        ext: &["vacation"],
        args: &[text("reason")],
        tags: &[
            &[
                of("period", with("days", Number)),
                needs("vacation-seconds", of("period", with("seconds", Number))),
                with("subject", Text),
                with("from", Text),
                with("addresses", List),
                flag("mime"),
                with("handle", Text),
            ],
            FCC,
            FLAGS,
            MAILBOX,
        ],
        run: Some(exec::vacation::vacation),
        ..NONE
    },
    // RFC 5232
    Spec {
        name: "setflag",
        ext: &["imap4flags"],
        args: &[opt(text("variable name")), list("list of flags")],
        run: Some(exec::flags::setflag),
        ..NONE
    },
    Spec {
        name: "addflag",
        ext: &["imap4flags"],
        args: &[opt(text("variable name")), list("list of flags")],
        run: Some(exec::flags::addflag),
        ..NONE
    },
    Spec {
        name: "removeflag",
        ext: &["imap4flags"],
        args: &[opt(text("variable name")), list("list of flags")],
        run: Some(exec::flags::removeflag),
        ..NONE
    },
    Spec {
        name: "hasflag",
        ext: &["imap4flags"],
        args: &[opt(list("variable list")), list("list of flags")],
        tags: &[MATCH],
        eval: Some(exec::flags::hasflag),
        ..NONE
    },
    // RFC 5235
    Spec {
        name: "spamtest",
        ext: &["spamtest", "spamtestplus"],
        args: &[text("value")],
        tags: &[MATCH, &[needs("spamtestplus", flag("percent"))]],
        eval: Some(exec::scan::spamtest),
        ..NONE
    },
    Spec {
        name: "virustest",
        ext: &["virustest"],
        args: &[text("value")],
        tags: &[MATCH],
        eval: Some(exec::scan::virustest),
        ..NONE
    },
    // RFC 5260
    Spec {
        name: "date",
        ext: &["date"],
        args: &[text("header name"), text("date part"), list("key list")],
        tags: &[MATCH, ZONE, &[of("zone", flag("originalzone"))], INDEX],
        eval: Some(exec::date::date),
        ..NONE
    },
    Spec {
        name: "currentdate",
        ext: &["date"],
        args: &[text("date part"), list("key list")],
        tags: &[MATCH, ZONE],
        eval: Some(exec::date::currentdate),
        ..NONE
    },
    // RFC 5293
    Spec {
        name: "addheader",
        ext: &["editheader"],
        args: &[text("field-name"), text("value")],
        tags: &[&[flag("last")]],
        run: Some(exec::edit::addheader),
        ..NONE
    },
    Spec {
        name: "deleteheader",
        ext: &["editheader"],
        args: &[text("field-name"), opt(list("value-patterns"))],
        tags: &[MATCH, &[with("index", Number), flag("last")]],
        run: Some(exec::edit::deleteheader),
        ..NONE
    },
    // RFC 5429
    Spec { name: "reject", ext: &["reject"], args: &[text("reason")], run: Some(exec::action::reject), ..NONE },
    Spec { name: "ereject", ext: &["ereject"], args: &[text("reason")], run: Some(exec::action::reject), ..NONE },
    // RFC 5435
    Spec {
        name: "notify",
        ext: &["enotify"],
        args: &[text("method")],
        tags: &[
            &[with("from", Text), with("importance", Text), with("options", List), with("message", Text)],
            FCC,
            FLAGS,
            MAILBOX,
        ],
        run: Some(exec::notify::notify),
        ..NONE
    },
    Spec {
        name: "valid_notify_method",
        ext: &["enotify"],
        args: &[list("notification uris")],
        eval: Some(exec::notify::valid_notify_method),
        ..NONE
    },
    Spec {
        name: "notify_method_capability",
        ext: &["enotify"],
        args: &[text("notification uri"), text("notification capability"), list("key list")],
        tags: &[MATCH],
        eval: Some(exec::notify::notify_method_capability),
        ..NONE
    },
    // RFC 5463
    Spec { name: "ihave", ext: &["ihave"], args: &[list("capabilities")], eval: Some(exec::control::ihave), ..NONE },
    Spec { name: "error", ext: &["ihave"], args: &[text("message")], run: Some(exec::control::error), ..NONE },
    // RFC 5490
    Spec {
        name: "mailboxexists",
        ext: &["mailbox"],
        args: &[list("mailbox-names")],
        eval: Some(exec::mailbox::mailboxexists),
        ..NONE
    },
    Spec {
        name: "metadata",
        ext: &["mboxmetadata"],
        args: &[text("mailbox"), text("annotation-name"), list("key list")],
        tags: &[MATCH],
        eval: Some(exec::mailbox::metadata),
        ..NONE
    },
    Spec {
        name: "metadataexists",
        ext: &["mboxmetadata"],
        args: &[text("mailbox"), list("annotation-names")],
        eval: Some(exec::mailbox::metadataexists),
        ..NONE
    },
    Spec {
        name: "servermetadata",
        ext: &["servermetadata"],
        args: &[text("annotation-name"), list("key list")],
        tags: &[MATCH],
        eval: Some(exec::mailbox::servermetadata),
        ..NONE
    },
    Spec {
        name: "servermetadataexists",
        ext: &["servermetadata"],
        args: &[list("annotation-names")],
        eval: Some(exec::mailbox::servermetadataexists),
        ..NONE
    },
    // RFC 5703
    Spec {
        name: "foreverypart",
        ext: &["foreverypart"],
        tags: &[&[with("name", Text)]],
        block: true,
        run: Some(exec::mime::foreverypart),
        ..NONE
    },
    Spec {
        name: "break",
        ext: &["foreverypart"],
        tags: &[&[with("name", Text)]],
        run: Some(exec::mime::break_loop),
        ..NONE
    },
    Spec {
        name: "replace",
        ext: &["replace"],
        args: &[text("replacement")],
        tags: &[&[flag("mime"), with("subject", Text), with("from", Text)]],
        run: Some(exec::mime::replace),
        ..NONE
    },
    Spec {
        name: "enclose",
        ext: &["enclose"],
        args: &[text("text")],
        tags: &[&[with("subject", Text), with("headers", List)]],
        run: Some(exec::mime::enclose),
        ..NONE
    },
    Spec {
        name: "extracttext",
        ext: &["extracttext"],
        args: &[text("variable name")],
        tags: &[MODIFIERS, &[with("first", Number)]],
        run: Some(exec::mime::extracttext),
        ..NONE
    },
    // RFC 6134
    Spec {
        name: "valid_ext_list",
        ext: &["extlists"],
        args: &[list("ext-list-names")],
        eval: Some(exec::test::valid_ext_list),
        ..NONE
    },
    // RFC 6609
    Spec {
        name: "include",
        ext: &["include"],
        args: &[text("script name")],
        tags: &[&[of("location", flag("personal")), of("location", flag("global")), flag("once"), flag("optional")]],
        run: Some(exec::include::include),
        ..NONE
    },
    Spec { name: "return", ext: &["include"], run: Some(exec::include::return_), ..NONE },
    Spec { name: "global", ext: &["include"], args: &[list("variables")], run: Some(exec::include::global), ..NONE },
    // RFC 7352
    Spec {
        name: "duplicate",
        ext: &["duplicate"],
        tags: &[&[
            with("handle", Text),
            of("identity", with("header", Text)),
            of("identity", with("uniqueid", Text)),
            with("seconds", Number),
            flag("last"),
        ]],
        eval: Some(exec::duplicate::duplicate),
        ..NONE
    },
    // RFC 8579
    Spec {
        name: "specialuse_exists",
        ext: &["special-use"],
        args: &[opt(text("mailbox")), list("special-use-flags")],
        eval: Some(exec::mailbox::specialuse_exists),
        ..NONE
    },
    // RFC 9042
    Spec {
        name: "mailboxidexists",
        ext: &["mailboxid"],
        args: &[list("mailbox-objectids")],
        eval: Some(exec::mailbox::mailboxidexists),
        ..NONE
    },
    // spec-bosch-sieve-extprograms
    Spec {
        name: "pipe",
        ext: &["vnd.dovecot.pipe"],
        args: &[text("program-name"), opt(list("arguments"))],
        tags: &[COPY, &[flag("try")]],
        run: Some(exec::program::pipe),
        ..NONE
    },
    Spec {
        name: "filter",
        ext: &["vnd.dovecot.filter"],
        args: &[text("program-name"), opt(list("arguments"))],
        run: Some(exec::program::filter_command),
        eval: Some(exec::program::filter),
        ..NONE
    },
    Spec {
        name: "execute",
        ext: &["vnd.dovecot.execute"],
        args: &[text("program-name"), opt(list("arguments"))],
        tags: &[&[
            of("input", with("input", Text)),
            of("input", flag("pipe")),
            needs("variables", with("output", Text)),
        ]],
        run: Some(exec::program::execute_command),
        eval: Some(exec::program::execute),
        ..NONE
    },
    // spec-bosch-sieve-debug, -report
    Spec {
        name: "debug_log",
        ext: &["vnd.dovecot.debug"],
        args: &[text("message")],
        run: Some(exec::control::debug_log),
        ..NONE
    },
    Spec {
        name: "report",
        ext: &["vnd.dovecot.report"],
        args: &[text("feedback-type"), text("message"), text("address")],
        tags: &[&[flag("headers_only")]],
        run: Some(exec::report::report),
        ..NONE
    },
    // commands of a test suite
    Spec { name: "test", ext: SUITE, args: &[text("name")], block: true, run: Some(testsuite::test), ..NONE },
    Spec { name: "test_fail", ext: SUITE, args: &[text("reason")], run: Some(testsuite::test_fail), ..NONE },
    Spec {
        name: "test_set",
        ext: SUITE,
        args: &[text("object"), text("value")],
        run: Some(testsuite::test_set),
        ..NONE
    },
    Spec {
        name: "test_script_compile",
        ext: SUITE,
        args: &[text("script")],
        eval: Some(testsuite::test_script_compile),
        ..NONE
    },
    Spec {
        name: "test_script_run",
        ext: SUITE,
        tags: &[&[flag("append_result")]],
        eval: Some(testsuite::test_script_run),
        ..NONE
    },
    Spec {
        name: "test_multiscript",
        ext: SUITE,
        args: &[list("scripts")],
        eval: Some(testsuite::test_multiscript),
        ..NONE
    },
    Spec {
        name: "test_error",
        ext: SUITE,
        args: &[list("key list")],
        tags: &[MATCH, &[with("index", Number)]],
        eval: Some(testsuite::test_error),
        ..NONE
    },
    Spec {
        name: "test_result_action",
        ext: SUITE,
        args: &[list("key list")],
        tags: &[MATCH, &[with("index", Number)]],
        eval: Some(testsuite::test_result_action),
        ..NONE
    },
    Spec { name: "test_result_execute", ext: SUITE, eval: Some(testsuite::test_result_execute), ..NONE },
    Spec { name: "test_result_reset", ext: SUITE, run: Some(testsuite::test_result_reset), ..NONE },
    Spec { name: "test_result_print", ext: SUITE, run: Some(testsuite::test_result_print), ..NONE },
    Spec {
        name: "test_message",
        ext: SUITE,
        args: &[num("index")],
        tags: &[&[of("source", flag("smtp")), of("source", with("folder", Text))]],
        run: Some(testsuite::test_message),
        eval: Some(testsuite::has_message),
        ..NONE
    },
    Spec {
        name: "test_mailbox_create",
        ext: SUITE,
        args: &[text("mailbox")],
        run: Some(testsuite::test_mailbox_create),
        ..NONE
    },
    Spec {
        name: "test_config_set",
        ext: SUITE,
        args: &[text("setting"), text("value")],
        run: Some(testsuite::test_config_set),
        ..NONE
    },
    Spec {
        name: "test_config_unset",
        ext: SUITE,
        args: &[text("setting")],
        run: Some(testsuite::test_config_unset),
        ..NONE
    },
    Spec {
        name: "test_config_reload",
        ext: SUITE,
        tags: &[&[with("extension", Text)]],
        run: Some(testsuite::test_config_reload),
        ..NONE
    },
    Spec {
        name: "test_imap_metadata_set",
        ext: SUITE,
        args: &[text("annotation"), text("value")],
        tags: &[&[with("mailbox", Text)]],
        run: Some(testsuite::test_imap_metadata_set),
        ..NONE
    },
    Spec {
        name: "test_binary_save",
        ext: SUITE,
        args: &[text("name")],
        run: Some(testsuite::test_binary_save),
        ..NONE
    },
    Spec {
        name: "test_binary_load",
        ext: SUITE,
        args: &[text("name")],
        run: Some(testsuite::test_binary_load),
        ..NONE
    },
];

const SUITE: &[&str] = &["vnd.dovecot.testsuite"];

/// The command or test of that name.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    SPECS.iter().find(|s| s.name == name)
}
