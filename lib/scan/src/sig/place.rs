//! Where in an object a body pattern may begin, and which kind of object it is for.
//!
//! Format      ClamAV offsets: `*`, `n`, `EOF-n`, `EP+n`, `EP-n`, `Sx+n`, `SL+n`, `SEx`, each with `,maxshift`
//! Failures    `VI` and `$macro` offsets are refused by name

use super::store::Reader;

/// What an offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// Anywhere.
    Any,
    /// The first byte.
    Start,
    /// Back from the end.
    End,
    /// The entry point of an executable.
    Entry,
    /// The start of section n of an executable.
    Section(u8),
    /// The start of the last section.
    LastSection,
    /// Anywhere inside section n.
    Inside(u8),
}

/// An offset with its slack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The origin.
    pub base: Base,
    /// Distance from it.
    pub distance: i32,
    /// How much later the match may begin.
    pub shift: u32,
}

/// The executable layout that places refer to.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// File offset of the entry point.
    pub entry: Option<usize>,
    /// File offset and length of each section.
    pub sections: Vec<(usize, usize)>,
}

impl Place {
    /// No constraint.
    pub const ANY: Place = Place { base: Base::Any, distance: 0, shift: 0 };

    /// Parses a ClamAV offset.
    pub fn parse(text: &str) -> Result<Place, &'static str> {
        let (place, shift) = match text.split_once(',') {
            Some((a, b)) => (a, b.parse().map_err(|_| "bad shift in an offset")?),
            None => (text, 0),
        };
        let (base, distance) = if place == "*" {
            (Base::Any, 0)
        } else if let Some(n) = place.strip_prefix("EOF-") {
            (Base::End, int(n)?)
        } else if let Some(n) = place.strip_prefix("EP") {
            (Base::Entry, int(n.strip_prefix('+').unwrap_or(n))?)
        } else if let Some(n) = place.strip_prefix("SL+") {
            (Base::LastSection, int(n)?)
        } else if let Some(n) = place.strip_prefix("SE") {
            (Base::Inside(n.parse().map_err(|_| "bad section number")?), 0)
        } else if let Some((n, d)) = place.strip_prefix('S').and_then(|s| s.split_once('+')) {
            (Base::Section(n.parse().map_err(|_| "bad section number")?), int(d)?)
        } else if place.starts_with("VI") || place.starts_with('$') {
            return Err("version-information and macro offsets are not supported");
        } else {
            (Base::Start, int(place)?)
        };
        Ok(Place { base, distance, shift })
    }

    /// Whether the place is one known position (no slack, not "anywhere").
    pub fn is_point(self) -> bool {
        self.shift == 0 && !matches!(self.base, Base::Any | Base::Inside(_))
    }

    /// First and last offset at which a match may begin in an object of `len` bytes.
    pub fn span(self, len: usize, layout: &Layout) -> Option<(usize, usize)> {
        let origin = match self.base {
            Base::Any => return Some((0, len)),
            Base::Inside(n) => {
                let (start, size) = *layout.sections.get(usize::from(n))?;
                return Some((start, start.saturating_add(size)));
            }
            Base::Start => 0,
            Base::End => return self.shifted(len.checked_sub(usize::try_from(self.distance).ok()?)?),
            Base::Entry => layout.entry?,
            Base::Section(n) => layout.sections.get(usize::from(n))?.0,
            Base::LastSection => layout.sections.last()?.0,
        };
        self.shifted(origin.checked_add_signed(isize::try_from(self.distance).ok()?)?)
    }

    fn shifted(self, start: usize) -> Option<(usize, usize)> {
        Some((start, start.saturating_add(self.shift as usize)))
    }

    /// The stored form, 10 bytes.
    pub fn write(self, out: &mut Vec<u8>) {
        let (kind, section) = match self.base {
            Base::Any => (0, 0),
            Base::Start => (1, 0),
            Base::End => (2, 0),
            Base::Entry => (3, 0),
            Base::Section(n) => (4, n),
            Base::LastSection => (5, 0),
            Base::Inside(n) => (6, n),
        };
        out.extend_from_slice(&[kind, section]);
        out.extend_from_slice(&self.distance.to_le_bytes());
        out.extend_from_slice(&self.shift.to_le_bytes());
    }

    /// Reads the stored form.
    pub fn read(r: &mut Reader<'_>) -> Option<Place> {
        let (kind, section) = (r.u8()?, r.u8()?);
        let base = match kind {
            0 => Base::Any,
            1 => Base::Start,
            2 => Base::End,
            3 => Base::Entry,
            4 => Base::Section(section),
            5 => Base::LastSection,
            6 => Base::Inside(section),
            _ => return None,
        };
        Some(Place { base, distance: r.u32()? as i32, shift: r.u32()? })
    }
}

fn int(text: &str) -> Result<i32, &'static str> {
    text.parse().map_err(|_| "bad number in an offset")
}

/// The object kinds that signatures name (ClamAV's target numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target(pub u8);

impl Target {
    /// Any object.
    pub const ANY: Target = Target(0);
    /// Windows executables.
    pub const PE: Target = Target(1);
    /// OLE2 documents.
    pub const OLE2: Target = Target(2);
    /// HTML after normalisation.
    pub const HTML: Target = Target(3);
    /// Mail.
    pub const MAIL: Target = Target(4);
    /// Pictures.
    pub const GRAPHICS: Target = Target(5);
    /// ELF executables.
    pub const ELF: Target = Target(6);
    /// Text after normalisation.
    pub const TEXT: Target = Target(7);
    /// Mach-O executables.
    pub const MACHO: Target = Target(9);
    /// PDF.
    pub const PDF: Target = Target(10);
    /// Flash.
    pub const FLASH: Target = Target(11);
    /// Java classes.
    pub const JAVA: Target = Target(12);

    /// Parses the number of a signature line.
    pub fn parse(text: &str) -> Result<Target, &'static str> {
        match text.parse() {
            Ok(n) if n <= 12 && n != 8 => Ok(Target(n)),
            Ok(n) if n == 13 || n == 14 => Err("internal target"),
            _ => Err("unknown target"),
        }
    }

    /// Whether a signature for `self` looks at the normalised text rather than the bytes.
    pub fn is_normalised(self) -> bool {
        self == Target::HTML || self == Target::TEXT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets() {
        let layout = Layout { entry: Some(64), sections: vec![(100, 50), (200, 10)] };
        for (text, want) in [
            ("*", Some((0, 300))),
            ("5", Some((5, 5))),
            ("5,3", Some((5, 8))),
            ("EOF-20", Some((280, 280))),
            ("EP+2", Some((66, 66))),
            ("EP-4,1", Some((60, 61))),
            ("S1+4", Some((204, 204))),
            ("SL+1", Some((201, 201))),
            ("SE0", Some((100, 150))),
            ("S9+0", None),
            ("EOF-301", None),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!(place.span(300, &layout), want, "{text}");
            let mut stored = Vec::new();
            place.write(&mut stored);
            assert_eq!(Place::read(&mut Reader(&stored)), Some(place));
        }
        assert!(Place::parse("VI").is_err() && Place::parse("x").is_err());
    }
}
