//! Classes 11, 12, 13, 14, 18, 23, 25: what addresses and parameters may hold.

use crate::smtpfake::instance::{Instance, codes};
use crate::{ENVELOPE, one, play};

#[test]
fn c11_no_value_makes_a_line_of_its_own() {
    let instance = Instance::usual("");
    for parameter in [
        "AUTH=a+0D+0Aevil:+20x",
        "AUTH=a@b+0Aevil",
        "ENVID=a+0D+0Arecipient:+20<x@y>",
        "ENVID=+00",
        "AUTH=a\tb@c",
        "ENVID=a\nb",
        "ENVID=a\0b",
        "RET=FULL\rX",
    ] {
        let line = format!("MAIL FROM:<a@b.example> {parameter}");
        assert!(["500", "501"].contains(&one(&instance, line.as_bytes()).as_str()), "{parameter:?}");
    }
    let rcpt = |parameter: &str| {
        let input =
            format!("{}QUIT\r\n", ENVELOPE.replace("here.example>\r\n", &format!("here.example> {parameter}\r\n")));
        play(&instance, input.as_bytes()).split(' ').nth(3).unwrap_or_default().to_owned()
    };
    for parameter in ["ORCPT=rfc822;a+0D+0Ab", "ORCPT=utf-8;\\x{A}x", "ORCPT=utf-8;\\x{85}", "ORCPT=rfc822;a\0b"] {
        assert!(["500", "501"].contains(&rcpt(parameter).as_str()), "{parameter:?}");
    }
    // HELO text and addresses with quotes, colons and comment signs stay inside their field
    let message = "DATA\r\nA: b\r\n\r\nc\r\n.\r\nQUIT\r\n";
    let input =
        ENVELOPE.replace("client.example", "x);evil:(").replace("<a@far.example>", "<\"a\\\"\\\\ >b: c\"@far.example>");
    assert_eq!(play(&instance, format!("{input}{message}").as_bytes()), "220 250 250 250 354 250 221");
    let entry = instance.queued().remove(0);
    let (block, rest) = entry.split_once("\n\n").unwrap();
    assert!(block.lines().all(|l| l.contains(": ")) && block.matches("\nrecipient: ").count() == 1, "{block}");
    let header = rest.split("\n\n").next().unwrap();
    assert!(header.lines().all(|l| l.starts_with("Received: ") || l.starts_with('\t') || l == "A: b"), "{header}");
}

/// Addresses that are commands, options, templates or paths are at most addresses.
#[test]
fn c12_c13_c14_addresses_are_only_addresses() {
    let instance = Instance::usual("");
    let marker = instance.place.path("marker");
    let touch = format!("touch {}", marker.display());
    for local in [
        "\";id;\"",
        "\"$(id)\"",
        "\"`id`\"",
        "-oQx",
        "\"|/bin/id\"",
        "\"../../etc/passwd\"",
        "/etc/passwd",
        "${run{id}}",
        "%s%n",
        "{{7*7}}",
        "\"ann;id\"",
        "ann%far.example",
        "-ann",
        "\".\"",
        "\"..\"",
        "\"\"",
    ] {
        let input = format!("{}QUIT\r\n", ENVELOPE.replace("<ann@", &format!("<{local}@")));
        assert_eq!(play(&instance, input.as_bytes()), "220 250 250 550 221", "{local}");
    }
    // with an extension the mailbox exists: it is delivered there, and nothing runs
    for ext in [
        format!("\"ann+$({touch})\""),
        format!("\"ann+;{touch};\""),
        format!("\"ann+|{touch}\""),
        "ann+../../x".into(),
        "\"ann+/etc\"".into(),
        "ann+-x".into(),
        format!("ann+{}", "x".repeat(200)),
    ] {
        let input = format!(
            "LHLO x\r\nMAIL FROM:<a@far.example>\r\nRCPT TO:<{ext}@here.example>\r\nDATA\r\nA: b\r\n\r\nc\r\n.\r\nQUIT\r\n"
        );
        let output = instance.smtpd("lmtp").stdin(input).run();
        assert!(codes(&output).ends_with("221") && output.code == Some(0), "{ext}: {}", output.describe());
    }
    assert!(!marker.exists());
    let outside: Vec<_> =
        std::fs::read_dir(instance.place.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(outside.iter().all(|n| n != "x" && n != "etc"), "{outside:?}");
}

#[test]
fn c18_odd_quoting_and_encodings() {
    let instance = Instance::usual("");
    for line in [
        "MAIL FROM:<a> AUTH=",
        "MAIL FROM:<a@b\\>",
        "MAIL FROM:<\"a\\\"@b>",
        "MAIL FROM:<\"a@b>",
        "MAIL FROM:<a@b",
        "MAIL FROM:<",
        "MAIL FROM:<a@b> AUTH=<",
        "MAIL FROM:<a@b> SIZE",
        "MAIL FROM:<@>",
        "MAIL FROM:<@a:>",
        "MAIL FROM:<a@[IPv6:]>",
        "MAIL FROM:",
        "RCPT",
        "VRFY",
        "MAIL FROM:<a@b> =",
        "MAIL FROM:<a@b>\\",
    ] {
        let code = one(&instance, line.as_bytes());
        assert!(["501", "555"].contains(&code.as_str()) || line == "RCPT" && code == "501", "{line}: {code}");
    }
    assert_eq!(play(&instance, b"EHLO x\\\r\nQUIT\r\n"), "220 250 221");
    for response in ["A", "AB", "ABC", "AAA=A", "=AAA", "AAAA=", "A===", "%%%%"] {
        let input = format!("EHLO x\r\nAUTH PLAIN {response}\r\nQUIT\r\n");
        let output = instance.smtpd("submission").stdin(input).run();
        assert_eq!(codes(&output), "220 250 501 221", "{response}");
    }
}

#[test]
fn c23_no_length_makes_an_unknown_recipient_known() {
    let instance = Instance::usual("");
    for length in [60, 64, 65, 100, 200, 240, 254, 255, 300, 1000, 1900] {
        for filler in ["x", "x.", "+", "\u{e4}"] {
            let local = format!("y{}z", filler.repeat(length / filler.len()));
            let input = format!("{}QUIT\r\n", ENVELOPE.replace("<ann@", &format!("<{local}@")));
            let answer = play(&instance, input.as_bytes());
            let code = answer.split(' ').nth(3).unwrap_or_default();
            assert!(code.starts_with('5'), "{length} {filler}: {answer}");
        }
    }
}

#[test]
fn c25_utf8_needs_smtputf8() {
    let instance = Instance::usual("");
    assert_eq!(one(&instance, "MAIL FROM:<ü@b.example>".as_bytes()), "553");
    assert_eq!(one(&instance, "MAIL FROM:<a@ü.example>".as_bytes()), "553");
    assert_eq!(one(&instance, b"MAIL FROM:<\xff@b.example>"), "500");
    assert_eq!(one(&instance, "EHLO ü".as_bytes()), "501");
    assert_eq!(one(&instance, "VRFY ü".as_bytes()), "252");
    let rcpt = |mail: &str| {
        let input = format!("EHLO x\r\nMAIL FROM:<a@b.example>{mail}\r\nRCPT TO:<ü@here.example>\r\nQUIT\r\n");
        play(&instance, input.as_bytes()).split(' ').nth(3).unwrap_or_default().to_owned()
    };
    assert_eq!(rcpt(""), "553");
    assert_eq!(rcpt(" SMTPUTF8"), "550");
}

/// The other probes of the baseline table.
#[test]
fn baseline_probes() {
    let instance = Instance::usual("");
    for (line, code) in [
        ("MAIL FROM:<a@b.example> FOO=BAR", "555"),
        ("MAIL FROM:<a@b.example> SIZE=99999999999999999999", "552"),
        ("MAIL FROM:<a\0@b.example>", "500"),
        ("MAIL FROM:<a\rb@b.example>", "500"),
        ("DATA foo", "501"),
        ("GET / HTTP/1.1", "521"),
    ] {
        assert_eq!(one(&instance, line.as_bytes()), code, "{line:?}");
    }
    assert_eq!(one(&instance, format!("MAIL FROM:<{}@b.example>", "a".repeat(3000)).as_bytes()), "500");
    let nested = "EHLO x\r\nMAIL FROM:<a@b.example>\r\nMAIL FROM:<c@b.example>\r\nQUIT\r\n";
    assert_eq!(play(&instance, nested.as_bytes()), "220 250 250 503 221");
}
