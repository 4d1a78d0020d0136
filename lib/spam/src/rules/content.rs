//! Rules about the words of the message.

use super::index::{self, Index};
use super::phrases::THEMES;
use super::{Facts, Hit, has_words, header};

/// Octets of text that phrase rules read.
const PHRASE_TEXT: usize = 6000;

/// Runs them.
pub fn check(f: &mut Facts<'_, '_>) {
    themes(f);
    bait(f);
    disguise(f);
    conversation(f);
}

/// The phrases of each theme.
pub const SOURCES: [&str; THEMES.len()] = {
    let mut out = [""; THEMES.len()];
    let mut n = 0;
    while n < THEMES.len() {
        out[n] = THEMES[n].phrases;
        n += 1;
    }
    out
};

/// All phrases by their first word.
pub static INDEX: Index<{ index::count(&SOURCES) }> = Index::new(&SOURCES);

fn themes(f: &mut Facts<'_, '_>) {
    let body = f.body.text.get(..PHRASE_TEXT).unwrap_or(&f.body.text);
    let found = INDEX.find(&SOURCES, &format!("{}{}{body}", f.name.text, f.subject.text));
    for (n, theme) in THEMES.iter().enumerate() {
        let phrases: Vec<&str> = found.iter().filter(|s| s.0 == n).map(|s| s.1).collect();
        if phrases.is_empty() {
            continue;
        }
        let more = phrases.len().saturating_sub(1).min(2) as f32;
        let shown = phrases.iter().take(3).copied().collect::<Vec<_>>().join("\", \"");
        f.hits.push(Hit {
            name: theme.name.into(),
            weight: theme.weight * (1.0 + 0.5 * more),
            why: format!("{} (\"{shown}\")", theme.why).into(),
        });
    }
}

/// Talk of accounts, or a well-known name, while every link leads away from the author's domain.
fn bait(f: &mut Facts<'_, '_>) {
    if !f.has("LINKS_ELSEWHERE") {
        return;
    }
    const TALK: [&str; 4] = ["ACCOUNT_THREAT", "VERIFY_REQUEST", "MAILBOX_TRICK", "SECURITY_ALARM"];
    if TALK.iter().any(|t| f.has(t)) {
        f.hit("ACCOUNT_BAIT", 1.0, "talks about an account while its links lead somewhere else");
    }
    let named = header::foreign_brand(f);
    if let Some(name) = named.filter(|_| !f.has("FALSE_NAME")) {
        f.hit_with("BRAND_BAIT", 0.9, format!("speaks of \"{name}\" while its links lead somewhere else"));
    }
}

/// Words spelled so that filters miss them.
fn disguise(f: &mut Facts<'_, '_>) {
    let (invisible, fancy, mixed) = (f.body.invisible, f.body.fancy, f.body.mixed);
    if invisible > 4 {
        f.hit("INVISIBLE_LETTERS", 1.2, "invisible characters break up its words");
    }
    if mixed > 1 || fancy > 8 {
        f.hit("LOOKALIKE_LETTERS", 1.8, "words mix letters of several alphabets");
    }
    let hidden: usize = f.message.htmls().map(|h| h.hidden).sum();
    if hidden > 120 {
        f.hit("HIDDEN_TEXT", 1.0, "holds much text the reader cannot see");
    }
    let spelled: usize = f.message.htmls().map(|h| h.spelled_letters).sum();
    if spelled > 10 {
        f.hit("SPELLED_LETTERS", 0.6, "spells plain letters as character codes");
    }
}

/// Marks of people writing to each other.
fn conversation(f: &mut Facts<'_, '_>) {
    let text = super::visible(f.message);
    let quoted = text.split(|&c| c == b'\n').filter(|l| l.starts_with(b">")).count();
    if quoted > 1 {
        f.hit("QUOTES", -1.0, "quotes another message");
    }
    let code = ["diff", "patch", "cvs", "perl", "linux", "kernel", "rpm", "compile"];
    if code.iter().filter(|w| has_words(&f.body.text, w)).count() > 1 {
        f.hit("SHOP_TALK", -0.8, "talks about programs");
    }
    if memchr::memmem::find(&text, b"-----BEGIN PGP SIG").is_some() {
        f.hit("PGP_SIGNED", -1.0, "carries a PGP signature");
    }
}
