//! Whole scripts: what they decide about a message.

use crate::{Action, Envelope, Error, Host, Limits, Machine, Message, NoLibrary, Outcome, Settings, compile};

const MESSAGE: &str = "From: Ann <ann@example.org>\nTo: joe+lists@example.net\nSubject: [rust] =?utf-8?q?h=C3=A9llo?=\nDate: Sat, 08 Sep 2001 20:46:40 -0500\nX-Count: 12\n\nbody text\n";

struct World;

impl Host for World {
    fn now(&self) -> i64 {
        1_000_000_000
    }

    fn mailbox_exists(&self, name: &str) -> bool {
        name == "There"
    }

    fn list_members(&self, list: &str) -> Option<Vec<String>> {
        let members = ["b@example.com", "A@example.com", "a@example.com", "no address"];
        (list == "friends").then(|| members.map(str::to_owned).to_vec())
    }
}

fn run_with(settings: &Settings, script: &str) -> Result<Outcome, Error> {
    let script = compile("t", script.as_bytes(), &NoLibrary).map_err(|e| e.into_iter().next().expect("an error"))?;
    let envelope =
        Envelope { from: "ann@example.org".into(), to: "joe+lists@example.net".into(), ..Envelope::default() };
    let mut world = World;
    let mut machine = Machine::new(&mut world, settings, envelope, Message::new(MESSAGE));
    machine.run(&script)?;
    Ok(machine.outcome())
}

fn decided(script: &str) -> Vec<String> {
    match run_with(&Settings::default(), script) {
        Ok(outcome) => {
            let mut all: Vec<String> = outcome.actions.iter().map(Action::describe).collect();
            if outcome.implicit_keep {
                all.push("implicit keep".into());
            }
            all
        }
        Err(e) => vec![format!("error {e}")],
    }
}

/// A test is true if the script then discards.
#[track_caller]
fn holds(require: &str, test: &str) {
    let script = format!("require [\"copy\", {require}];\nif {test} {{ discard; }}");
    assert_eq!(decided(&script), ["discard"], "{test}");
    let script = format!("require [\"copy\", {require}];\nif not {test} {{ discard; }}");
    assert_eq!(decided(&script), ["implicit keep"], "not {test}");
}

#[test]
fn rfc5228_actions() {
    assert_eq!(decided(""), ["implicit keep"]);
    assert_eq!(decided("stop; discard;"), ["implicit keep"]);
    assert_eq!(decided("keep; keep;"), ["keep in \"INBOX\""]);
    assert_eq!(
        decided("require \"fileinto\"; fileinto \"A\"; fileinto \"A\"; keep;"),
        ["file into \"A\"", "keep in \"INBOX\""]
    );
    assert_eq!(decided("require [\"fileinto\",\"copy\"]; fileinto :copy \"A\";"), ["file into \"A\"", "implicit keep"]);
    assert_eq!(decided("redirect \"x@example.com\";"), ["redirect to <x@example.com> from <ann@example.org>"]);
}

#[test]
fn rfc5228_tests() {
    holds("\"copy\"", "header :contains \"subject\" \"rust\"");
    holds("\"copy\"", "header :matches \"subject\" \"[*] héllo\"");
    holds("\"copy\"", "address :localpart :is \"from\" \"ANN\"");
    holds("\"copy\"", "exists [\"from\", \"to\"]");
    holds("\"copy\"", "size :under 1K");
    holds("\"envelope\"", "envelope :domain \"to\" \"example.net\"");
    holds("\"subaddress\"", "address :detail \"to\" \"lists\"");
    holds(
        "\"relational\", \"comparator-i;ascii-numeric\"",
        "header :value \"gt\" :comparator \"i;ascii-numeric\" \"x-count\" \"9\"",
    );
    holds(
        "\"relational\", \"comparator-i;ascii-numeric\"",
        "header :count \"eq\" :comparator \"i;ascii-numeric\" [\"from\", \"to\"] \"2\"",
    );
}

#[test]
fn tests_of_extensions() {
    holds("\"body\"", "body :text :contains \"BODY\"");
    holds("\"date\"", "date :originalzone \"date\" \"hour\" \"20\"");
    holds("\"date\"", "date :zone \"+0000\" \"date\" \"date\" \"2001-09-09\"");
    holds("\"date\"", "currentdate :zone \"+0000\" \"year\" \"2001\"");
    holds("\"mailbox\"", "mailboxexists \"There\"");
    holds("\"regex\"", "header :regex \"subject\" \"^\\\\[[a-z]+\\\\]\"");
    holds("\"environment\"", "environment \"name\" \"Pennypost Sieve\"");
    holds("\"index\"", "header :index 1 :last \"x-count\" \"12\"");
    holds("\"enotify\"", "valid_notify_method \"mailto:a@example.org\"");
    holds("\"encoded-character\"", "header :contains \"subject\" \"${hex:68}\"");
}

#[test]
fn rfc5229_variables() {
    let script = "require [\"variables\", \"fileinto\"];\nif header :matches \"subject\" \"[*] *\" { set :upperfirst \"list\" \"${1}\"; fileinto \"Lists/${list}\"; }";
    assert_eq!(decided(script), ["file into \"Lists/Rust\""]);
}

#[test]
fn rfc5232_flags() {
    let script = "require [\"imap4flags\", \"fileinto\"]; addflag [\"\\\\Seen\", \"Work\"]; removeflag \"\\\\seen\"; fileinto \"A\";";
    assert_eq!(decided(script), ["file into \"A\" flags (Work)"]);
}

#[test]
fn runtime_errors_undo_everything() {
    let all = decided("require \"reject\"; keep; reject \"no\";");
    assert!(all.len() == 1 && all.iter().any(|t| t.contains("conflicts")), "{all:?}");
    let many: String = (0..6).map(|n| format!("redirect \"a{n}@example.com\";")).collect();
    assert!(decided(&many).iter().any(|t| t.contains("number of redirect actions exceeds")));
}

#[test]
fn rfc6134_redirect_to_a_list() {
    let script = |list: &str| format!("require \"extlists\"; redirect :list \"{list}\"; redirect \"B@example.com\";");
    assert_eq!(decided(&script("friends")), ["redirect to <A@example.com>, <b@example.com> from <ann@example.org>"]);
    assert!(decided(&script("none")).iter().all(|t| t.contains("list 'none' does not exist")));
    let settings = Settings { limits: Limits { list_members: 1, ..Limits::default() }, ..Settings::default() };
    assert!(run_with(&settings, &script("friends")).is_err_and(|e| e.text.contains("more than 1 addresses")));
}

#[test]
fn rfc2045_text_is_read_as_the_decoder_reads_its_encoding() {
    let reads = |encoding: &str, text: &str| {
        let message = format!("Content-Type: text/plain\nContent-Transfer-Encoding: {encoding}\n\n{text}\n");
        let script = compile("t", b"require \"body\"; if body :text :contains \"found\" { discard; }", &NoLibrary);
        let mut world = World;
        let mut machine = Machine::new(&mut world, &Settings::default(), Envelope::default(), Message::new(message));
        machine.run(&script.expect("compiles")).expect("runs");
        !machine.outcome().implicit_keep
    };
    assert!(reads("8bit", "found") && reads("base64", "Zm91bmQ=") && reads("Base64;", "Zm91bmQ="));
    assert!(reads("(by hand) base64", "Zm91bmQ="), "a comment says nothing");
    assert!(!reads("x-own", "found") && !reads("base64 x", "found"), "what is not decoded is not read");
}

#[test]
fn rfc5703_loops_are_bounded() {
    let nested =
        |n: usize| format!("require \"foreverypart\"; {} discard; {}", "foreverypart {".repeat(n), "}".repeat(n));
    assert_eq!(decided(&nested(4)), ["implicit keep"]);
    assert!(compile("t", nested(5).as_bytes(), &NoLibrary).is_err());
    assert!(compile("t", b"require [\"extracttext\", \"variables\"]; keep;", &NoLibrary).is_err());
}

#[test]
fn rfc5232_flags_of_an_earlier_script_stay() {
    let parts = ["require \"imap4flags\"; setflag \"Work\";", "require \"fileinto\"; fileinto \"A\";"];
    let scripts = parts.map(|s| compile("t", s.as_bytes(), &NoLibrary).expect("compiles"));
    let mut world = World;
    let mut machine = Machine::new(&mut world, &Settings::default(), Envelope::default(), Message::new(MESSAGE));
    scripts.iter().for_each(|s| drop(machine.run(s)));
    let all: Vec<String> = machine.outcome().actions.iter().map(Action::describe).collect();
    assert_eq!(all, ["file into \"A\" flags (Work)"]);
}

#[test]
fn steps_are_bounded() {
    let settings = Settings { limits: Limits { steps: 100, ..Limits::default() }, ..Settings::default() };
    let script = "if header \"a\" \"b\" { keep; }\n".repeat(200);
    assert!(run_with(&settings, &script).is_err_and(|e| e.text.contains("more time")));
    assert!(run_with(&Settings::default(), &script).is_ok());
}

#[test]
fn hostile_scripts_and_messages_end() {
    let mut world = World;
    for script in [
        "require \"regex\"; if header :regex \"subject\" \"(a*)*b\" { keep; }",
        "if header :matches \"subject\" \"*a*a*a*a*a*a*b\" { keep; }",
    ] {
        let script = compile("t", script.as_bytes(), &NoLibrary).expect("compiles");
        let message = format!("Subject: {}\n\n", "a".repeat(20_000));
        let mut machine = Machine::new(&mut world, &Settings::default(), Envelope::default(), Message::new(message));
        assert!(machine.run(&script).is_ok());
    }
}
