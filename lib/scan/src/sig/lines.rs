//! One line of each signature file format, parsed and handed to the builder.
//!
//! Formats     .hdb .hsb .hdu .hsu `hash:size:name`; .mdb .msb .mdu .msu `size:hash:name`; .ndb .ndu
//!             `name:target:offset:hex`; .db `name=hex`; .ldb .ldu `name;attributes;expression;sub...`; .fp .sfp; .cdb
//! Subset      of .ldb: attributes Engine, Target, FileSize, EntryPoint, NumberOfSections; hexadecimal sub-patterns with
//!             offsets and the modifiers i, w, f, a. Not: PCRE, byte compare, macros, icons, fuzzy images, containers
//! Failures    `Err(reason)`, listed by the compiler; a line for another engine level counts as such

use super::build::{Builder, FULL_WORD, HashOf, SubPattern};
use super::container;
use super::hashes::ANY_SIZE;
use super::logic::{Attribute, Logic};
use super::pattern::{self, Pattern};
use super::place::{Place, Target};

/// The engine level whose signatures we take (ClamAV 1.4).
const LEVEL: u32 = 213;
/// Reason of a line that is for older or newer engines only.
pub const OTHER_LEVEL: &str = "for another engine level";

type Done = Result<(), &'static str>;

/// The name in a line, without parsing the rest: what .ign2 compares with.
pub fn name_of<'a>(kind: &str, line: &'a str) -> Option<&'a str> {
    match kind {
        "hdb" | "hsb" | "hdu" | "hsu" | "mdb" | "msb" | "mdu" | "msu" => line.split(':').nth(2),
        "ldb" | "ldu" => line.split(';').next(),
        "db" => line.split('=').next(),
        _ => line.split(':').next(),
    }
}

/// Whether the compiler knows this kind of file.
pub fn known(kind: &str) -> bool {
    matches!(
        kind,
        "hdb"
            | "hsb"
            | "hdu"
            | "hsu"
            | "mdb"
            | "msb"
            | "mdu"
            | "msu"
            | "ndb"
            | "ndu"
            | "ldb"
            | "ldu"
            | "db"
            | "fp"
            | "sfp"
            | "cdb"
    )
}

/// Parses one line of a file of this kind into the builder.
pub fn add(builder: &mut Builder, kind: &str, line: &str) -> Done {
    match kind {
        "hdb" | "hsb" | "hdu" | "hsu" => hash(builder, line),
        "mdb" | "msb" | "mdu" | "msu" => section_hash(builder, line),
        "ndb" | "ndu" => extended(builder, line),
        "ldb" | "ldu" => logical(builder, line),
        "db" => simple(builder, line),
        "fp" | "sfp" => allowed(builder, line),
        "cdb" => container::check(line).map(|()| builder.container(line)),
        _ => Err("a kind of file that is not supported"),
    }
}

fn level(low: Option<&str>, high: Option<&str>) -> Done {
    let read = |t: Option<&str>, other| match t {
        None | Some("" | "*") => Ok(other),
        Some(t) => t.trim().parse().map_err(|_| "bad engine level"),
    };
    let (low, high) = (read(low, 0)?, read(high, u32::MAX)?);
    if (low..=high).contains(&LEVEL) { Ok(()) } else { Err(OTHER_LEVEL) }
}

fn digest(text: &str) -> Result<Vec<u8>, &'static str> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(2) {
        return Err("bad digest");
    }
    text.chunks_exact(2)
        .map(|pair| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok()).ok_or("bad digest"))
        .collect()
}

fn size(text: &str) -> Result<u32, &'static str> {
    if text == "*" { Ok(ANY_SIZE) } else { text.parse().map_err(|_| "bad size") }
}

fn hash(builder: &mut Builder, line: &str) -> Done {
    let f: Vec<&str> = line.split(':').collect();
    let [hash, len, name, rest @ ..] = f.as_slice() else { return Err("too few fields") };
    level(rest.first().copied(), rest.get(1).copied())?;
    builder.hash(HashOf::Object, digest(hash)?, size(len)?, name)
}

fn section_hash(builder: &mut Builder, line: &str) -> Done {
    let f: Vec<&str> = line.split(':').collect();
    let [len, hash, name, rest @ ..] = f.as_slice() else { return Err("too few fields") };
    level(rest.first().copied(), rest.get(1).copied())?;
    builder.hash(HashOf::Section, digest(hash)?, size(len)?, name)
}

fn allowed(builder: &mut Builder, line: &str) -> Done {
    let f: Vec<&str> = line.split(':').collect();
    let [hash, len, name, rest @ ..] = f.as_slice() else { return Err("too few fields") };
    level(rest.first().copied(), rest.get(1).copied())?;
    builder.allow(digest(hash)?, size(len)?, name)
}

fn simple(builder: &mut Builder, line: &str) -> Done {
    let (name, hex) = line.split_once('=').ok_or("no `=`")?;
    let name = name.split_once('(').map_or(name, |(n, _)| n).trim();
    builder.body(name, Target::ANY, Place::ANY, &pattern::parse(hex.trim().as_bytes())?)
}

fn extended(builder: &mut Builder, line: &str) -> Done {
    let f: Vec<&str> = line.split(':').collect();
    let [name, target, offset, hex, rest @ ..] = f.as_slice() else { return Err("too few fields") };
    level(rest.first().copied(), rest.get(1).copied())?;
    builder.body(name, Target::parse(target)?, Place::parse(offset)?, &pattern::parse(hex.trim().as_bytes())?)
}

fn logical(builder: &mut Builder, line: &str) -> Done {
    let f: Vec<&str> = line.split(';').collect();
    let [name, attributes, expression, subs @ ..] = f.as_slice() else { return Err("too few fields") };
    if subs.is_empty() || subs.len() > 64 {
        return Err("not 1 to 64 sub-patterns");
    }
    let (target, attributes) = read_attributes(attributes)?;
    let mut patterns = Vec::new();
    for (n, sub) in subs.iter().enumerate() {
        sub_pattern(n as u8, sub, &mut patterns)?;
    }
    let logic = Logic { target, subs: subs.len() as u8, attributes, expression: (*expression).to_owned() };
    if logic.expression.len() > 16_384 {
        return Err("the expression is too long");
    }
    match logic.eval(&vec![0; subs.len()]) {
        None => Err("bad expression"),
        Some(true) => Err("the expression holds without any match"),
        Some(false) => builder.logical(name, &logic, &patterns),
    }
}

fn read_attributes(text: &str) -> Result<(Target, Vec<Attribute>), &'static str> {
    let mut target = Target::ANY;
    let mut out = Vec::new();
    for field in text.split(',').filter(|f| !f.is_empty()) {
        let (key, value) = field.split_once(':').ok_or("bad attribute")?;
        match key {
            "Target" => target = Target::parse(value)?,
            "Engine" => {
                let (low, high) = value.split_once('-').ok_or("bad engine level")?;
                level(Some(low), Some(high))?;
            }
            "FileSize" => out.push(bounds(value, Attribute::FileSize)?),
            "EntryPoint" => out.push(bounds(value, Attribute::EntryPoint)?),
            "NumberOfSections" => out.push(bounds(value, Attribute::Sections)?),
            _ => return Err("an attribute that is not supported"),
        }
    }
    Ok((target, out))
}

fn bounds(text: &str, make: fn(u64, u64) -> Attribute) -> Result<Attribute, &'static str> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let read = |t: &str| t.trim().parse().map_err(|_| "bad number in an attribute");
    Ok(make(read(low)?, read(high)?))
}

fn sub_pattern(number: u8, text: &str, out: &mut Vec<SubPattern>) -> Done {
    if text.contains('/') {
        return Err("PCRE sub-patterns are not supported");
    }
    if text.contains('#') || text.contains('$') {
        return Err("byte-compare, macro and image sub-patterns are not supported");
    }
    let (body, modifiers) = text.rsplit_once("::").unwrap_or((text, ""));
    let (place, hex) = match body.rsplit_once(':') {
        Some((place, hex)) => (Place::parse(place)?, hex),
        None => (Place::ANY, body),
    };
    if modifiers.chars().any(|c| !matches!(c, 'i' | 'w' | 'f' | 'a')) {
        return Err("an unknown modifier");
    }
    let mut plain = pattern::parse(hex.as_bytes())?;
    if modifiers.contains('i') {
        plain.ignore_case();
    }
    let flags = if modifiers.contains('f') { FULL_WORD } else { 0 };
    let wide = modifiers.contains('w').then(|| {
        let mut wide = plain.clone();
        wide.widen();
        wide
    });
    let narrow = (wide.is_none() || modifiers.contains('a')).then_some(plain);
    out.extend(narrow.into_iter().chain(wide).map(|pattern: Pattern| SubPattern { number, place, pattern, flags }));
    Ok(())
}
