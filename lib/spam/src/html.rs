//! HTML as a reader sees it: visible text, links with their texts, and the tricks around them.
//!
//! Not a browser: one forward pass, no tree. Tags are read by name and attributes; text inside
//! elements that are not shown counts as hidden.
//!
//! Invariants  1. work and output are linear in the input   2. every byte string is accepted
//! Trust       hostile bytes

/// One link: where it points and what the reader is shown.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Link {
    /// The target, entities decoded.
    pub href: Vec<u8>,
    /// The visible text of the anchor.
    pub text: Vec<u8>,
}

/// What one HTML part holds.
#[derive(Debug, Default, Clone)]
pub struct Html {
    /// Text a reader sees, blocks separated by newlines.
    pub visible: Vec<u8>,
    /// The markup as written, without style sheets, scripts and long comments; at most [`LEAN_MAX`] octets.
    pub lean: Vec<u8>,
    /// Links in order, at most [`MAX_LINKS`].
    pub links: Vec<Link>,
    /// Octets of text that the markup hides.
    pub hidden: usize,
    /// Number of images.
    pub images: usize,
    /// Addresses of images and forms, at most [`MAX_LINKS`].
    pub sources: Vec<Vec<u8>>,
    /// There is a form, or an input field of type password.
    pub form: bool,
    /// There is a script.
    pub script: bool,
    /// There is a meta refresh.
    pub refresh: bool,
    /// A character reference stood for a plain ASCII letter.
    pub spelled_letters: usize,
}

/// Octets of lean markup kept.
pub const LEAN_MAX: usize = 4000;
/// A longer comment is left out of the lean markup.
const COMMENT_MAX: usize = 60;
/// Links kept of one part.
pub const MAX_LINKS: usize = 200;

const VOID: [&[u8]; 9] = [b"br", b"img", b"hr", b"input", b"meta", b"link", b"area", b"base", b"col"];
const BLOCK: [&[u8]; 14] =
    [b"br", b"p", b"div", b"tr", b"li", b"h1", b"h2", b"h3", b"h4", b"table", b"td", b"title", b"center", b"hr"];

/// State of the one pass.
struct Walk<'a> {
    out: Html,
    rest: &'a [u8],
    /// Element whose end tag ends a run of hidden text, and its nesting depth.
    hidden_by: Option<(Vec<u8>, usize)>,
    /// The open anchor and where its text starts.
    anchor: Option<(Vec<u8>, usize)>,
    limit: usize,
}

/// Reads HTML, keeping at most `limit` octets of visible text.
pub fn read(input: &[u8], limit: usize) -> Html {
    let mut walk = Walk { out: Html::default(), rest: input, hidden_by: None, anchor: None, limit };
    while walk.out.visible.len() < limit && walk.step() {}
    walk.close_anchor();
    walk.out
}

impl Walk<'_> {
    fn step(&mut self) -> bool {
        let at = self.rest.iter().position(|&c| c == b'<').unwrap_or(self.rest.len());
        let (text, tail) = self.rest.split_at(at);
        self.text(text);
        self.rest = tail;
        if tail.is_empty() {
            return false;
        }
        self.markup();
        true
    }

    /// Keeps markup as written.
    fn lean(&mut self, bytes: &[u8]) {
        let room = LEAN_MAX.saturating_sub(self.out.lean.len());
        self.out.lean.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// Inside an element whose text is code.
    fn in_code(&self) -> bool {
        self.hidden_by.as_ref().is_some_and(|(by, _)| matches!(by.as_slice(), b"style" | b"script"))
    }

    fn text(&mut self, text: &[u8]) {
        if !self.in_code() {
            self.lean(text);
        }
        if self.hidden_by.is_some() {
            self.out.hidden += text.iter().filter(|c| !c.is_ascii_whitespace()).count();
            return;
        }
        let room = self.limit.saturating_sub(self.out.visible.len());
        let text = text.get(..room.saturating_mul(4)).unwrap_or(text);
        self.out.spelled_letters += entities(text, &mut self.out.visible);
    }

    fn markup(&mut self) {
        if self.rest.starts_with(b"<!--") {
            let end = find(self.rest, b"-->").map_or(self.rest.len(), |e| e + 3);
            if end <= COMMENT_MAX && !self.in_code() {
                self.lean(self.rest.get(..end).unwrap_or(b""));
            }
            self.rest = self.rest.get(end..).unwrap_or(b"");
            return;
        }
        let tag_like = self.rest.get(1).is_some_and(|&c| c.is_ascii_alphabetic() || matches!(c, b'/' | b'!' | b'?'));
        if !tag_like {
            self.text(b"<");
            self.rest = self.rest.get(1..).unwrap_or(b"");
            return;
        }
        let end = tag_end(self.rest);
        let (tag, tail) = self.rest.split_at(end);
        self.rest = tail;
        if !self.in_code() {
            self.lean(tag);
        }
        let tag = tag.strip_suffix(b">").unwrap_or(tag);
        match tag.get(1) {
            Some(b'/') => self.close(tag.get(2..).unwrap_or(b"")),
            Some(c) if c.is_ascii_alphabetic() => self.open(tag.get(1..).unwrap_or(b"")),
            _ => {}
        }
    }

    fn open(&mut self, tag: &[u8]) {
        let (name, attrs) = split_name(tag);
        if let Some((by, depth)) = &mut self.hidden_by {
            *depth += usize::from(*by == name);
            return;
        }
        if BLOCK.contains(&name.as_slice()) {
            self.newline();
        }
        match name.as_slice() {
            b"a" | b"area" => self.anchor_open(attrs),
            b"img" => self.source(attr(attrs, b"src"), true),
            b"form" => {
                self.out.form = true;
                self.source(attr(attrs, b"action"), false);
            }
            b"input" if attr(attrs, b"type").is_some_and(|t| t.eq_ignore_ascii_case(b"password")) => {
                self.out.form = true;
            }
            b"iframe" | b"frame" => self.source(attr(attrs, b"src"), false),
            b"meta" if attr(attrs, b"http-equiv").is_some_and(|t| t.eq_ignore_ascii_case(b"refresh")) => {
                self.out.refresh = true;
            }
            b"script" => self.out.script = true,
            _ => {}
        }
        let hides = matches!(name.as_slice(), b"style" | b"script" | b"noscript" | b"template");
        if hides || !VOID.contains(&name.as_slice()) && hidden_style(attrs) {
            self.hidden_by = Some((name, 1));
        }
    }

    fn close(&mut self, tag: &[u8]) {
        let (name, _) = split_name(tag);
        if let Some((by, depth)) = &mut self.hidden_by {
            if *by == name {
                *depth -= 1;
                if *depth == 0 {
                    self.hidden_by = None;
                }
            }
            return;
        }
        if name == b"a" {
            self.close_anchor();
        }
        if BLOCK.contains(&name.as_slice()) {
            self.newline();
        }
    }

    fn newline(&mut self) {
        if !self.out.visible.is_empty() && self.out.visible.last() != Some(&b'\n') {
            self.out.visible.push(b'\n');
        }
    }

    fn anchor_open(&mut self, attrs: &[u8]) {
        self.close_anchor();
        if let Some(href) = attr(attrs, b"href") {
            self.anchor = Some((href, self.out.visible.len()));
        }
    }

    fn close_anchor(&mut self) {
        if let Some((href, start)) = self.anchor.take().filter(|_| self.out.links.len() < MAX_LINKS) {
            let text = self.out.visible.get(start..).unwrap_or(b"").trim_ascii();
            let text = text.get(..300).unwrap_or(text).to_vec();
            self.out.links.push(Link { href, text });
        }
    }

    fn source(&mut self, url: Option<Vec<u8>>, image: bool) {
        self.out.images += usize::from(image);
        if let Some(url) = url.filter(|_| self.out.sources.len() < MAX_LINKS) {
            self.out.sources.push(url.get(..500).map_or_else(|| url.clone(), <[u8]>::to_vec));
        }
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(hay, needle)
}

/// The end of a tag: the first `>` outside quotes, but quotes do not span more than 2,000 octets.
fn tag_end(s: &[u8]) -> usize {
    let mut quote = None;
    for (i, &c) in s.iter().enumerate().take(2000) {
        match (c, quote) {
            (b'>', None) => return i + 1,
            (b'"' | b'\'', None) if s.get(i.wrapping_sub(1)).is_some_and(|&p| p == b'=' || p == b' ') => {
                quote = Some(c);
            }
            (_, Some(q)) if c == q => quote = None,
            _ => {}
        }
    }
    s.iter().position(|&c| c == b'>').map_or(s.len(), |i| i + 1)
}

fn split_name(tag: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = tag.iter().position(|c| !c.is_ascii_alphanumeric()).unwrap_or(tag.len());
    let (name, attrs) = tag.split_at(end);
    (name.get(..16).unwrap_or(name).to_ascii_lowercase(), attrs)
}

/// The value of one attribute, entities decoded.
pub fn attr(attrs: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let mut rest = attrs;
    loop {
        let start = rest.iter().position(|c| c.is_ascii_alphabetic())?;
        rest = rest.get(start..)?;
        let end = rest.iter().position(|c| !(c.is_ascii_alphanumeric() || *c == b'-')).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let tail = tail.trim_ascii_start();
        let Some(tail) = tail.strip_prefix(b"=") else {
            rest = tail;
            continue;
        };
        let (value, tail) = attr_value(tail.trim_ascii_start());
        if key.eq_ignore_ascii_case(name) {
            let mut out = Vec::new();
            entities(value, &mut out);
            return Some(out.trim_ascii().to_vec());
        }
        rest = tail;
    }
}

fn attr_value(s: &[u8]) -> (&[u8], &[u8]) {
    let (body, stop): (&[u8], fn(&u8) -> bool) = match s.first() {
        Some(b'"') => (s.get(1..).unwrap_or(b""), |c| *c == b'"'),
        Some(b'\'') => (s.get(1..).unwrap_or(b""), |c| *c == b'\''),
        _ => (s, u8::is_ascii_whitespace),
    };
    let end = body.iter().position(stop).unwrap_or(body.len());
    (body.get(..end).unwrap_or(b""), body.get(end + 1..).unwrap_or(b""))
}

/// A style that hides its element from the reader.
fn hidden_style(attrs: &[u8]) -> bool {
    if attrs.len() < 8 {
        return false;
    }
    let Some(style) = attr(attrs, b"style") else {
        return false;
    };
    let style: Vec<u8> = style.iter().filter(|c| !c.is_ascii_whitespace()).map(u8::to_ascii_lowercase).collect();
    let marks: [&[u8]; 4] = [b"display:none", b"visibility:hidden", b"font-size:0", b"mso-hide:all"];
    marks.iter().any(|m| {
        find(&style, m).is_some_and(|i| {
            let next = style.get(i + m.len());
            !(m.ends_with(b"0") && next.is_some_and(|c| c.is_ascii_digit() || *c == b'.'))
        })
    })
}

const NAMED: [(&[u8], u32); 16] = [
    (b"amp", 38),
    (b"lt", 60),
    (b"gt", 62),
    (b"quot", 34),
    (b"apos", 39),
    (b"nbsp", 32),
    (b"copy", 169),
    (b"reg", 174),
    (b"euro", 8364),
    (b"pound", 163),
    (b"eacute", 233),
    (b"zwnj", 0x200C),
    (b"zwj", 0x200D),
    (b"shy", 0xAD),
    (b"ndash", 8211),
    (b"rsquo", 8217),
];

fn reference(body: &[u8]) -> Option<u32> {
    if let Some(num) = body.strip_prefix(b"#") {
        let text = std::str::from_utf8(num).ok()?;
        return match text.strip_prefix(['x', 'X']) {
            Some(h) => u32::from_str_radix(h, 16).ok(),
            None => text.parse().ok(),
        };
    }
    NAMED.iter().find(|(n, _)| *n == body).map(|&(_, c)| c)
}

/// Appends text with character references decoded; returns how many stood for a plain letter or digit.
pub fn entities(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut spelled = 0;
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let window = tail.get(1..12.min(tail.len())).unwrap_or(b"");
        let code = window.iter().position(|&c| c == b';').and_then(|end| Some((end, reference(window.get(..end)?)?)));
        match code.and_then(|(end, code)| Some((end, char::from_u32(code)?))) {
            Some((end, c)) => {
                spelled += usize::from(c.is_ascii_alphanumeric());
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = tail.get(end + 2..).unwrap_or(b"");
            }
            None => {
                out.push(b'&');
                rest = tail.get(1..).unwrap_or(b"");
            }
        }
    }
    out.extend_from_slice(rest);
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn visible_text_and_links() {
        let h = read(b"<html><style>p{}</style><p>Dear <b>user</b><br>see <A HREF='http://x.example/?a=1&amp;b=2'>https://bank.example</a></p>", 999);
        assert_eq!(h.visible, b"Dear user\nsee https://bank.example\n");
        assert_eq!(
            h.links,
            [Link { href: b"http://x.example/?a=1&b=2".to_vec(), text: b"https://bank.example".to_vec() }]
        );
    }

    #[test]
    fn lean_markup_has_no_code() {
        let long = "x".repeat(80);
        let h = read(format!("<p>a<!--b--><!--{long}--><style>p{{}}</style><b>c</b>").as_bytes(), 99);
        assert_eq!(h.lean, b"<p>a<!--b--><style><b>c</b>");
    }

    #[test]
    fn hidden_text_is_counted_not_shown() {
        let h =
            read(b"a<span style=\"display: none\">bc<span>d</span>e</span>f<div style='font-size:0px'>gh</div>i", 999);
        assert_eq!(h.visible, b"af\ni");
        assert_eq!(h.hidden, 6);
        assert_eq!(read(b"<p style='font-size:0.9em'>x</p>", 9).hidden, 0);
    }

    #[test]
    fn broken_markup_ends() {
        for s in
            ["<", "<a href=", "<a href='x", "<!-- never closed", "&#xFFFFFFFF;&#0;&", "a < b", "<a <a <a href=\"", "</"]
        {
            read(s.as_bytes(), 100);
        }
        assert_eq!(read(b"a < b", 100).visible, b"a < b");
    }

    #[test]
    fn letters_spelled_as_references() {
        assert_eq!(read(b"&#86;&#x69;agra &eacute;", 99).visible, "Viagra é".as_bytes());
        assert_eq!(read(b"&#86;&#x69;agra", 99).spelled_letters, 2);
    }

    #[test]
    fn forms_and_images() {
        let h =
            read(b"<form action=http://e.example/p><input type=Password><img src=cid:1><meta http-equiv=refresh>", 99);
        assert!(h.form && h.refresh);
        assert_eq!((h.images, h.sources.len()), (1, 2));
    }
}
