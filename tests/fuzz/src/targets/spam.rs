//! spamcheck: the decoders, the view of a message, rules, and the table file.

use crate::Target;
use penny_spam::engine::Engine;
use penny_spam::rules::file;
use penny_spam::table::Table;
use penny_spam::view::Message;
use penny_spam::{decode, explain, html, model};
use std::sync::OnceLock;

const MAIL: &[u8] = b"From: \"A =?utf-8?q?B=C3=A9?=\" <a@b.example>\nSubject: =?utf-8?b?4oKs?= verify your account\n\
    Content-Type: multipart/mixed; boundary=\"b1\"\n\n--b1\nContent-Type: text/html; charset=utf-8\n\
    Content-Transfer-Encoding: base64\n\nPGEgaHJlZj0iaHR0cDovL2EuYi9jIj5odHRwOi8vZS5mPC9hPg==\n--b1\n\
    Content-Disposition: attachment; filename*0*=utf-8''a%20; filename*1=b.exe\n\nMZ\n--b1--\n";
const HTML: &[u8] = b"<html><style>a{}</style><a href=\"https://u@[::1]:8/?q=&#x41;&amp;\">paypal.com</a>\
    <div style='display:none'>hid</div><!-- c --><form action=x><img src=cid:1 width=1><script>\"</script>";
const RULES: &[u8] =
    b"# own\nLOTTERY 3 subject lott(o|ery)\nX 100 header:X-Mailer ^bulk\nY -2 url example\\.org/[a-z]{3}\n\
    Z 1.5 attachment \\.scr$\n";
const WORDS: &[u8] = b"=?utf-8?Q?=E2=82=AC?= =?koi8-r?B?8NLJ18XU?= =?x?q??= plain =?utf-16le?b?aABpAA==?=";

pub const TARGETS: &[Target] = &[
    Target {
        name: "spam-decode",
        run: decoders,
        seeds: &[WORDS, b"aGk=", b"a=3D=\r\n b=", "\u{e9}&eacute;&#233;".as_bytes()],
    },
    Target { name: "spam-html", run: read_html, seeds: &[HTML] },
    Target { name: "spam-message", run: message, seeds: &[MAIL, HTML] },
    Target { name: "spam-rules", run: rules, seeds: &[RULES] },
    Target { name: "spam-table", run: table, seeds: &[b"\0\0\x01", b"\x08\0\xff", b"\x20\x10\x80"] },
];

/// What comes out never goes over the limit it was given.
fn decoders(data: &[u8]) {
    for limit in [0, 1, 100, 4000] {
        assert!(decode::base64(data, limit).len() <= limit);
        assert!(decode::quoted_printable(data, limit, true).len() <= limit);
        assert!(decode::quoted_printable(data, limit, false).len() <= limit);
    }
    let (charset, text) = data.split_at(data.len().min(8));
    let utf8 = decode::to_utf8(text.to_vec(), charset);
    assert!(utf8.len() <= 4 * text.len() + 16);
    decode::words(data);
}

fn read_html(data: &[u8]) {
    let page = html::read(data, 4000);
    // the limit ends the walk; one run of text may go beyond it
    assert!(page.visible.len() <= 4000 + 3 * data.len(), "{}", page.visible.len());
    let mut out = Vec::new();
    let used = html::entities(data, &mut out);
    assert!(used <= data.len());
}

fn taught() -> &'static Table<Vec<u8>> {
    static TAUGHT: OnceLock<Table<Vec<u8>>> = OnceLock::new();
    TAUGHT.get_or_init(|| {
        let (mut table, mut engine) = (Table::empty(), Engine::default());
        for n in 0..250 {
            let text = |kind: &str| format!("From: {kind}{n}@x.example\nSubject: {kind} {n}\n\n{kind} text {n}\n");
            engine.learn(text("pills").as_bytes(), &mut table, true);
            engine.learn(text("minutes").as_bytes(), &mut table, false);
        }
        table
    })
}

/// Any octets get a score that is a number, the same each time, and an explanation.
fn message(data: &[u8]) {
    let mut engine = Engine::default();
    let verdict = engine.examine(data, Some(taught()));
    assert!((0.0..=1.0).contains(&verdict.score), "{}", verdict.score);
    assert_eq!(verdict.score.to_bits(), engine.examine(data, Some(taught())).score.to_bits());
    explain::strongest(taught(), &Message::read(data), 12);
    model::identity(&Message::read(data));
}

/// A rules file with mistakes names their lines; one without works on any message.
fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match file::parse(&text) {
        Ok(rules) => {
            file::apply(&rules, &Message::read(MAIL), &Default::default());
        }
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
}

/// A table with changed octets is refused, or used without harm; cut short it is refused.
fn table(data: &[u8]) {
    static SEALED: OnceLock<Vec<u8>> = OnceLock::new();
    let good = SEALED.get_or_init(|| {
        let mut copy = Table::open(taught().bytes().to_vec()).unwrap_or_else(|_| Table::empty());
        copy.seal(1).to_vec()
    });
    let mut bytes = good.clone();
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]]));
        // half of the changes hit the header
        let at = if at % 2 == 0 { at / 2 % 4096 } else { at * 61 % bytes.len() };
        bytes[at] ^= change[2];
    }
    if data.len() % 3 == 1 {
        bytes.truncate(bytes.len() - data.len());
        assert!(Table::open(bytes).is_err(), "cut short");
        return;
    }
    if let Ok(table) = Table::open(bytes) {
        let verdict = Engine::default().examine(MAIL, Some(&table));
        assert!((0.0..=1.0).contains(&verdict.score));
        let _ = table.verify();
    }
}
