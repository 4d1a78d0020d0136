//! The IMAP codec, what FETCH shows of a message, POP3 and ManageSieve: cut anywhere the stream gives the same, what is
//! written reads back as the same value, and a message of any octets keeps the answer's framing.

use crate::Target;
use penny_imap::parse::Cursor;
use penny_imap::reader::Framed;
use penny_imap::render::{View, body_structure, envelope, preview};
use penny_imap::{Event, Limits, NumberSet, Reader, SequenceSet, write};

pub const TARGETS: &[Target] = &[
    Target {
        name: "imap-reader",
        run: reader,
        seeds: &[
            b"a NOOP\r\nb LOGIN {1}\r\nu {3+}\r\np\r\n\r\nc APPEND x ~{2+}\r\n\0\n (y)\r\nd X {0}\r\n\r\ne {9}x\r\n",
            b"a AUTHENTICATE PLAIN\r\n{999999999+}\r\nb {4294967296}\r\n",
        ],
    },
    Target {
        name: "imap-command",
        run: command,
        seeds: &[
            b"a UID FETCH 1:*,5 (FLAGS BODY.PEEK[1.2.HEADER.FIELDS (A \"b\")]<0.5> PREVIEW (LAZY)) (CHANGEDSINCE 3 VANISHED)\r\n",
            b"a SEARCH RETURN (MIN PARTIAL 1:5) CHARSET utf-8 OR (NOT FROM {1+}\r\nx) MODSEQ \"/flags/\\\\x\" all 5 UID $\r\n",
            b"a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"*\" %) RETURN (STATUS (MESSAGES) CHILDREN SPECIAL-USE)\r\n",
            b"a APPEND x (\\Seen y) \" 1-Jan-2024 00:00:00 +0000\" CATENATE (URL \"/x/;uid=1\" TEXT {1+}\r\nx)\r\n",
            b"a SELECT \"a\\\"b\" (QRESYNC (1 2 1:5 (1 2)))\r\nb STORE 1 (UNCHANGEDSINCE 5) -FLAGS.SILENT x\r\n",
            b"a NOTIFY SET STATUS (SELECTED (MessageNew (UID) MessageExpunge)) (subtree (a b) (MessageNew FlagChange))\r\n",
            b"a SETMETADATA x (/private/a ~{1+}\r\n\0)\r\nb SETQUOTA x (STORAGE 5)\r\nc SETACL x y +lr\r\nd ID (\"a\" NIL)\r\n",
        ],
    },
    Target { name: "imap-strings", run: strings, seeds: &[b"plain", b"a\\b\"c", "gr\u{fc}n".as_bytes(), b"a\r\nb", b"\0", b"NIL"] },
    Target { name: "imap-sets", run: sets, seeds: &[b"1:*", b"5,3:4,7", b"*", b"4294967295,1", b"*:4,9:2"] },
    Target {
        name: "imap-render",
        run: render,
        seeds: &[
            b"From: \"A \\\" B\" <a@b>, g: x@y, z;\nSubject: =?utf-8?Q?=C3=BC?=\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: message/rfc822\n\nSubject: y\nContent-Type: text/html; charset=iso-8859-1; name*0=a; name*1*=%20\n\n<p>x\n--b--\n",
            b"Content-Type: text/plain; charset=\"\\\"\"\nContent-Transfer-Encoding: base64\nContent-Disposition: a; b={5}\n\nQUJD\n",
        ],
    },
    Target { name: "pop3", run: pop3, seeds: &[b"USER a\r\nPASS b c\r\nTOP 1 0\r\nRETR 4294967296\r\n", b"A: b\n\n.x\n..\ny\r\n\r.\n"] },
    Target {
        name: "managesieve",
        run: managesieve,
        seeds: &[b"PUTSCRIPT \"a\\\"b\" {3+}\r\nx\r\n\r\nHAVESPACE \"a\" 5\r\nLISTSCRIPTS\r\nAUTHENTICATE \"PLAIN\" {4}\r\n"],
    },
];

/// What a reader makes of the pieces, as text; literals are taken, streamed or refused in turn.
fn events(pieces: &[&[u8]], how: usize) -> (Vec<String>, Vec<Framed>) {
    let limits = Limits::default();
    let (mut reader, mut log, mut framed, mut data) = (Reader::new(limits), Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.next_event() {
                Event::More => break,
                Event::Literal(a) => {
                    log.push(format!("literal {} {} {}", a.len, a.sync, a.binary));
                    match (how + log.len()) % 3 {
                        0 => reader.stream(),
                        1 => reader.refuse(),
                        _ => log.push(format!("taken {}", reader.accept())),
                    }
                }
                Event::Data(d) => data.extend_from_slice(&d),
                Event::DataEnd => log.push(format!("data {:?}", std::mem::take(&mut data))),
                Event::Command(c) => {
                    log.push(format!("{c:?}"));
                    framed.push(c);
                }
                Event::TooLong(c) => log.push(format!("long {c:?}")),
            }
        }
    }
    (log, framed)
}

fn reader(input: &[u8]) {
    for how in 0..3 {
        let whole = events(&[input], how).0;
        let single: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(events(&single, how).0, whole);
        let (a, b) = input.split_at(input.len() / 2);
        assert_eq!(events(&[a, b], how).0, whole);
    }
}

/// One command with its literals taken; `None` when the octets are no command.
fn framed(text: &[u8]) -> Option<Framed> {
    let mut reader = Reader::new(Limits::default());
    reader.feed(text);
    loop {
        match reader.next_event() {
            Event::Literal(_) if reader.accept() => {}
            Event::Command(c) => return Some(c),
            _ => return None,
        }
    }
}

/// Any octets are a command or a mistake, twice the same.
fn command(input: &[u8]) {
    for f in events(&[input], 2).1 {
        let said = |f: &Framed| match penny_imap::command::parse(f) {
            Ok(tagged) => format!("{tagged:?}"),
            Err(rejected) => format!("{rejected:?}"),
        };
        assert_eq!(said(&f), said(&f));
        let _ = penny_imap::command::peek_word(&f);
    }
}

/// A value written as each kind of string is read back as the same value, and nothing is left over.
fn strings(input: &[u8]) {
    let without_nul: Vec<u8> = input.iter().map(|b| if *b == 0 { 0x80 } else { *b }).collect();
    let back = |write: &dyn Fn(&mut Vec<u8>), read: &dyn Fn(&mut Cursor<'_>) -> Option<Vec<u8>>| -> Option<Vec<u8>> {
        let mut out = Vec::new();
        write(&mut out);
        // a literal of the server is sent at once, as a client's non-synchronising one
        out.extend_from_slice(b"\r\n");
        let f = framed(&out)?;
        let mut c = Cursor::new(&f);
        let value = read(&mut c);
        assert!(c.is_end(), "{:?} is left of {out:?}", c.rest());
        value
    };
    let string = |c: &mut Cursor<'_>| c.string().ok();
    let astring = |c: &mut Cursor<'_>| c.astring().ok();
    // beyond the limit of what a client may send in one command, nothing is framed
    let short = input.len() < 4000;
    let same =
        |got: Option<Vec<u8>>, want: &[u8]| assert!(!short || got.as_deref() == Some(want), "{got:?} of {want:?}");
    same(back(&|o| write::string(o, input), &string), &without_nul);
    same(back(&|o| write::astring(o, input), &astring), &without_nul);
    same(back(&|o| write::value(o, Some(input)), &string), input);
    if let Ok(text) = std::str::from_utf8(&without_nul) {
        same(back(&|o| write::utf8_string(o, text), &string), text.as_bytes());
        same(back(&|o| write::mailbox(o, text), &astring), text.as_bytes());
        let encoded = penny_maildir::mutf7::encode(text);
        assert_eq!(penny_maildir::mutf7::decode(&encoded).as_deref(), Some(text), "{encoded}");
    }
}

fn sets(input: &[u8]) {
    let Ok(set) = SequenceSet::parse(input) else { return };
    let Some(numbers) = set.resolve(1000) else { return };
    let text = numbers.to_string();
    if numbers.is_empty() {
        return;
    }
    let again = SequenceSet::parse(text.as_bytes()).ok().and_then(|s| s.resolve(1000));
    assert_eq!(again.as_ref().map(NumberSet::ranges), Some(numbers.ranges()), "{text}");
    assert!(numbers.ranges().windows(2).all(|w| w[0].1 < w[1].0), "{text}");
}

/// Reads one parenthesised list or value of an answer and gives what follows.
fn value(text: &[u8], depth: usize) -> &[u8] {
    assert!(depth < 200, "an answer is nested too deep");
    match text.first() {
        Some(b'(') => {
            let mut rest = &text[1..];
            loop {
                rest = rest.strip_prefix(b" ").unwrap_or(rest);
                if let Some(rest) = rest.strip_prefix(b")") {
                    return rest;
                }
                rest = value(rest, depth + 1);
            }
        }
        Some(b'"') => {
            let mut at = 1;
            loop {
                match text.get(at) {
                    Some(b'"') => return &text[at + 1..],
                    Some(b'\\') => at += 2,
                    Some(b'\r' | b'\n' | 0) | None => panic!("a quoted string is not closed"),
                    _ => at += 1,
                }
            }
        }
        Some(b'{') => {
            let end = text.iter().position(|b| *b == b'}').expect("a literal's end");
            let len: usize = std::str::from_utf8(&text[1..end]).ok().and_then(|n| n.parse().ok()).expect("a length");
            let rest = text[end + 1..].strip_prefix(b"\r\n").expect("a line end");
            assert!(!rest[..len].contains(&0), "a NUL is on the wire");
            &rest[len..]
        }
        _ => {
            let end = text.iter().position(|b| b" ()\r\n".contains(b)).unwrap_or(text.len());
            assert!(end > 0, "an empty word at {:?}", String::from_utf8_lossy(text));
            &text[end..]
        }
    }
}

fn render(input: &[u8]) {
    let view = View::new(input);
    for extended in [false, true] {
        let mut out = Vec::new();
        body_structure(&mut out, input, view.structure(), extended);
        assert!(value(&out, 0).is_empty(), "{}", String::from_utf8_lossy(&out));
    }
    let mut out = Vec::new();
    envelope(&mut out, view.header());
    assert!(value(&out, 0).is_empty(), "{}", String::from_utf8_lossy(&out));
    assert!(preview(&view).chars().count() <= 200);
    for path in [&[][..], &[1], &[2], &[2, 1], &[1, 1, 1]] {
        let _ = view.binary(path);
    }
}

fn pop3(input: &[u8]) {
    let lines = |pieces: &[&[u8]]| -> Vec<String> {
        let (mut stream, mut log) = (penny_pop3::Input::default(), Vec::new());
        for piece in pieces {
            stream.feed(piece);
            while let Some(line) = stream.line(255) {
                log.push(match line {
                    penny_pop3::Line::Text(t) => format!("{t:?} {:?}", penny_pop3::Command::parse(&t)),
                    long => format!("{long:?}"),
                });
            }
        }
        log
    };
    let single: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(lines(&single), lines(&[input]));
    let encoded = |pieces: &[&[u8]], how: fn() -> penny_pop3::Multiline| {
        let (mut encoder, mut out) = (how(), Vec::new());
        pieces.iter().for_each(|p| encoder.feed(p, &mut out));
        encoder.finish(&mut out);
        out
    };
    for how in [penny_pop3::Multiline::whole, || penny_pop3::Multiline::top(2)] {
        let whole = encoded(&[input], how);
        assert_eq!(encoded(&single, how), whole);
        // the end comes once, at the end
        let text = whole.strip_suffix(b".\r\n").expect("the dot");
        assert!(text.is_empty() || text.ends_with(b"\r\n"));
        assert!(!text.split(|b| *b == b'\n').any(|line| line == b".\r"), "the answer ends early");
    }
}

fn managesieve(input: &[u8]) {
    use penny_managesieve::Input;
    let taken = |pieces: &[&[u8]]| -> Vec<String> {
        let (mut stream, mut log) = (Input::default(), Vec::new());
        for piece in pieces {
            stream.feed(piece);
            while let Some(next) = stream.next(1000) {
                log.push(format!("{next:?}"));
                if log.len() > 1000 {
                    return log;
                }
            }
        }
        log
    };
    let single: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(taken(&single), taken(&[input]));
}
