//! Body patterns: the hexadecimal language of ClamAV signatures, parsed into segments and gaps.
//!
//! Format      hex pairs; `??` `a?` `?a` wildcards; `*` any gap; `{n}` `{n-m}` `{-m}` `{n-}` `[n-m]` gaps;
//!             `(aa|bb)` and `!(aa|bb)` alternatives; `(B)` `(L)` `(W)` zero-width borders
//! Standards   ClamAV signature manual, "Body-based signature content format"
//! Invariants  1. a parsed pattern has at least one segment with a compared byte   2. gaps are `min <= max`
//! Failures    `Err(reason)`: the caller counts and lists what it cannot compile
//! Trust       signature files are the administrator's, but a broken line never panics
//! Not here    choice of anchors and the stored form (compile.rs), matching (verify.rs)

/// No upper bound on a gap.
pub const UNBOUNDED: u32 = u32::MAX;

/// One byte compared under a mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elem {
    /// The value after masking.
    pub value: u8,
    /// The bits that count.
    pub mask: u8,
}

impl Elem {
    /// A byte that must match exactly.
    pub fn exact(value: u8) -> Elem {
        Elem { value, mask: 0xff }
    }

    /// How many byte values match.
    pub fn options(self) -> u32 {
        1 << self.mask.count_zeros()
    }

    /// Whether `byte` matches.
    pub fn matches(self, byte: u8) -> bool {
        byte & self.mask == self.value
    }
}

/// What stands between two gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A run of bytes of known length.
    Fixed(Vec<Elem>),
    /// One of several runs (or, negated, none of them; the choices then have one length).
    Alt {
        /// Any run of that length but these.
        negate: bool,
        /// The runs.
        choices: Vec<Vec<Elem>>,
    },
    /// A border of no width: `B` word, `L` line, `W` non-word.
    Border(u8),
}

/// A piece and the gap in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Fewest and most bytes between the piece before and this one.
    pub gap: (u32, u32),
    /// The content.
    pub piece: Piece,
}

/// A whole pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub Vec<Segment>);

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    run: Vec<Elem>,
    gap: (u32, u32),
    out: Vec<Segment>,
}

/// Parses one hexadecimal pattern.
pub fn parse(text: &[u8]) -> Result<Pattern, &'static str> {
    let mut p = Parser { text, at: 0, run: Vec::new(), gap: (0, 0), out: Vec::new() };
    while let Some(&c) = p.text.get(p.at) {
        match c {
            b'*' => p.add_gap(0, UNBOUNDED, 1)?,
            b'{' => p.braces(b'}')?,
            b'[' => p.braces(b']')?,
            b'(' => p.group(false)?,
            b'!' => p.negated()?,
            _ => p.pair()?,
        }
    }
    p.end_run();
    if p.gap != (0, 0) {
        return Err("a gap ends the pattern");
    }
    let useful = p.out.iter().any(|s| match &s.piece {
        Piece::Fixed(run) => run.iter().any(|e| e.mask != 0),
        Piece::Alt { .. } => true,
        Piece::Border(_) => false,
    });
    if useful { Ok(Pattern(p.out)) } else { Err("the pattern compares nothing") }
}

impl Parser<'_> {
    fn pair(&mut self) -> Result<(), &'static str> {
        let elem = read_pair(self.text, self.at)?;
        self.run.push(elem);
        self.at += 2;
        Ok(())
    }

    fn end_run(&mut self) {
        if !self.run.is_empty() {
            let run = std::mem::take(&mut self.run);
            self.push(Piece::Fixed(run));
        }
    }

    fn push(&mut self, piece: Piece) {
        let gap = std::mem::take(&mut self.gap);
        self.out.push(Segment { gap, piece });
    }

    fn add_gap(&mut self, min: u32, max: u32, width: usize) -> Result<(), &'static str> {
        self.end_run();
        if self.out.is_empty() {
            return Err("a gap begins the pattern");
        }
        self.gap = (self.gap.0.saturating_add(min), self.gap.1.saturating_add(max));
        self.at += width;
        Ok(())
    }

    fn braces(&mut self, close: u8) -> Result<(), &'static str> {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let len = rest.iter().position(|&c| c == close).ok_or("a gap without its end")?;
        let body = std::str::from_utf8(rest.get(..len).unwrap_or_default()).map_err(|_| "bad gap")?;
        let (min, max) = match body.split_once('-') {
            None => (number(body)?, number(body)?),
            Some((a, b)) => {
                (if a.is_empty() { 0 } else { number(a)? }, if b.is_empty() { UNBOUNDED } else { number(b)? })
            }
        };
        if min > max {
            return Err("a gap whose bounds are reversed");
        }
        self.add_gap(min, max, len + 2)
    }

    fn negated(&mut self) -> Result<(), &'static str> {
        self.at += 1;
        if self.text.get(self.at) != Some(&b'(') {
            return Err("`!` without alternatives");
        }
        self.group(true)
    }

    fn group(&mut self, negate: bool) -> Result<(), &'static str> {
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let len = rest.iter().position(|&c| c == b')').ok_or("alternatives without their end")?;
        let body = rest.get(..len).unwrap_or_default();
        self.end_run();
        self.at += len + 2;
        if let [c @ (b'B' | b'L' | b'W')] = body {
            if negate {
                return Err("a negated border");
            }
            self.push(Piece::Border(*c));
            return Ok(());
        }
        let choices = body.split(|&c| c == b'|').map(run).collect::<Result<Vec<_>, _>>()?;
        let first = choices.first().map_or(0, Vec::len);
        if negate && choices.iter().any(|c| c.len() != first) {
            return Err("negated alternatives of unequal length");
        }
        self.push(Piece::Alt { negate, choices });
        Ok(())
    }
}

fn number(text: &str) -> Result<u32, &'static str> {
    text.parse::<u32>().map_err(|_| "bad number in a gap")
}

fn run(text: &[u8]) -> Result<Vec<Elem>, &'static str> {
    if text.is_empty() {
        return Err("an empty alternative");
    }
    (0..text.len()).step_by(2).map(|at| read_pair(text, at)).collect()
}

fn read_pair(text: &[u8], at: usize) -> Result<Elem, &'static str> {
    let (Some(&a), Some(&b)) = (text.get(at), text.get(at + 1)) else {
        return Err("half a hexadecimal pair");
    };
    let (high, low) = (nibble(a)?, nibble(b)?);
    Ok(Elem { value: (high.0 << 4) | low.0, mask: (high.1 << 4) | low.1 })
}

fn nibble(c: u8) -> Result<(u8, u8), &'static str> {
    match c {
        b'?' => Ok((0, 0)),
        _ => (c as char).to_digit(16).map(|d| (d as u8, 0x0f)).ok_or("not hexadecimal"),
    }
}

impl Pattern {
    /// Makes letters match in both cases (the `i` modifier of a logical signature).
    pub fn ignore_case(&mut self) {
        self.each_run(|run| {
            for e in run.iter_mut().filter(|e| e.mask == 0xff && e.value.is_ascii_alphabetic()) {
                *e = Elem { value: e.value & 0xdf, mask: 0xdf };
            }
        });
    }

    /// Puts a zero byte behind each byte (the `w` modifier: UTF-16LE text).
    pub fn widen(&mut self) {
        self.each_run(|run| {
            *run = run.iter().flat_map(|e| [*e, Elem::exact(0)]).collect();
        });
    }

    fn each_run(&mut self, mut f: impl FnMut(&mut Vec<Elem>)) {
        for segment in &mut self.0 {
            match &mut segment.piece {
                Piece::Fixed(run) => f(run),
                Piece::Alt { choices, .. } => choices.iter_mut().for_each(&mut f),
                Piece::Border(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(bytes: &[u8]) -> Piece {
        Piece::Fixed(bytes.iter().map(|b| Elem::exact(*b)).collect())
    }

    #[test]
    fn gaps_and_runs() {
        let p = parse(b"4d5a{4-8}50??*ff").unwrap();
        assert_eq!(p.0.len(), 3);
        assert_eq!(p.0[0], Segment { gap: (0, 0), piece: fixed(b"MZ") });
        assert_eq!(p.0[1].gap, (4, 8));
        assert_eq!(p.0[2], Segment { gap: (0, UNBOUNDED), piece: fixed(b"\xff") });
    }

    #[test]
    fn nibbles_alternatives_borders() {
        let p = parse(b"a?(41|4243)!(00|01)(B)").unwrap();
        assert_eq!(p.0[0].piece, Piece::Fixed(vec![Elem { value: 0xa0, mask: 0xf0 }]));
        assert!(matches!(&p.0[1].piece, Piece::Alt { negate: false, choices } if choices.len() == 2));
        assert!(matches!(&p.0[2].piece, Piece::Alt { negate: true, .. }));
        assert_eq!(p.0[3].piece, Piece::Border(b'B'));
    }

    #[test]
    fn broken_lines_are_errors() {
        for bad in ["", "4", "4g", "*41", "41*", "41{3-1}42", "41{", "(41", "??", "!41", "(|41)", "{4}41"] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn modifiers() {
        let mut p = parse(b"6131").unwrap();
        p.ignore_case();
        p.widen();
        let Piece::Fixed(run) = &p.0[0].piece else { panic!() };
        assert!(run[0].matches(b'A') && run[0].matches(b'a') && run[1].matches(0) && run[2].matches(b'1'));
    }
}
