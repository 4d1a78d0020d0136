//! What an object is, by its content.
//!
//! Invariants  declared types and extensions play no part: what a reader would open is what its first bytes say

use crate::sig::place::Target;

/// A recognised format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are the formats
pub enum Kind {
    Zip,
    SevenZip,
    Rar,
    Cab,
    Arj,
    Lha,
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Lzip,
    Zstd,
    Compress,
    Zlib,
    Tar,
    Cpio,
    Ar,
    Iso,
    Ole2,
    Pdf,
    Rtf,
    OneNote,
    Tnef,
    Pe,
    Elf,
    MachO,
    JavaClass,
    Flash,
    Szdd,
    Picture,
    Link,
    DiskImage,
    Foreign,
    Html,
    Mail,
    Script,
    Text,
    Data,
}

impl Kind {
    /// The target number that signatures use.
    pub fn target(self) -> Target {
        match self {
            Kind::Pe => Target::PE,
            Kind::Ole2 => Target::OLE2,
            Kind::Html => Target::HTML,
            Kind::Mail => Target::MAIL,
            Kind::Picture => Target::GRAPHICS,
            Kind::Elf => Target::ELF,
            Kind::Text | Kind::Script => Target::TEXT,
            Kind::MachO => Target::MACHO,
            Kind::Pdf => Target::PDF,
            Kind::Flash => Target::FLASH,
            Kind::JavaClass => Target::JAVA,
            _ => Target::ANY,
        }
    }

    /// Whether it is read as text.
    pub fn is_text(self) -> bool {
        matches!(self, Kind::Html | Kind::Text | Kind::Script | Kind::Mail)
    }

    /// The word for reports.
    pub fn word(self) -> String {
        format!("{self:?}").to_ascii_lowercase()
    }
}

/// Magics at offset 0.
const MAGICS: &[(&[u8], Kind)] = &[
    (b"PK\x03\x04", Kind::Zip),
    (b"PK\x05\x06", Kind::Zip),
    (b"PK\x07\x08PK\x03\x04", Kind::Zip),
    (b"PK00PK\x03\x04", Kind::Zip),
    (b"7z\xbc\xaf\x27\x1c", Kind::SevenZip),
    (b"Rar!\x1a\x07", Kind::Rar),
    (b"RE~^", Kind::Rar),
    (b"MSCF", Kind::Cab),
    (b"\x60\xea", Kind::Arj),
    (b"\x1f\x8b", Kind::Gzip),
    (b"BZh", Kind::Bzip2),
    (b"\xfd7zXZ\0", Kind::Xz),
    (b"LZIP", Kind::Lzip),
    (b"\x28\xb5\x2f\xfd", Kind::Zstd),
    (b"\x1f\x9d", Kind::Compress),
    (b"!<arch>\n", Kind::Ar),
    (b"070701", Kind::Cpio),
    (b"070702", Kind::Cpio),
    (b"070707", Kind::Cpio),
    (b"\xc7\x71", Kind::Cpio),
    (b"\x71\xc7", Kind::Cpio),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Kind::Ole2),
    (b"{\\rt", Kind::Rtf),
    (b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3", Kind::OneNote),
    (b"\x78\x9f\x3e\x22", Kind::Tnef),
    (b"\x7fELF", Kind::Elf),
    (b"\xfe\xed\xfa\xce", Kind::MachO),
    (b"\xfe\xed\xfa\xcf", Kind::MachO),
    (b"\xce\xfa\xed\xfe", Kind::MachO),
    (b"\xcf\xfa\xed\xfe", Kind::MachO),
    (b"SZDD\x88\xf0\x27\x33", Kind::Szdd),
    (b"CWS", Kind::Flash),
    (b"FWS", Kind::Flash),
    (b"ZWS", Kind::Flash),
    (b"GIF8", Kind::Picture),
    (b"\x89PNG", Kind::Picture),
    (b"\xff\xd8\xff", Kind::Picture),
    (b"BM", Kind::Picture),
    (b"II*\0", Kind::Picture),
    (b"MM\0*", Kind::Picture),
    (b"L\0\0\0\x01\x14\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46", Kind::Link),
    (b"conectix", Kind::DiskImage),
    (b"vhdxfile", Kind::DiskImage),
    (b"KDMV", Kind::DiskImage),
    (b"QFI\xfb", Kind::DiskImage),
    (b"MSWIM\0\0\0", Kind::Foreign),
    (b"EGGA", Kind::Foreign),
    (b"ALZ\x01", Kind::Foreign),
    (b"SIT!", Kind::Foreign),
    (b"StuffIt ", Kind::Foreign),
    (b"xar!", Kind::Foreign),
    (b"ITSF", Kind::Foreign),
];

/// Names what `data` is.
pub fn detect(data: &[u8]) -> Kind {
    if let Some((_, kind)) = MAGICS.iter().find(|(m, _)| data.starts_with(m)) {
        return *kind;
    }
    binary(data).unwrap_or_else(|| text(data))
}

fn binary(data: &[u8]) -> Option<Kind> {
    let at = |n: usize, m: &[u8]| data.get(n..).is_some_and(|d| d.starts_with(m));
    if data.starts_with(b"MZ") || data.starts_with(b"ZM") {
        return Some(Kind::Pe);
    }
    if data.starts_with(b"\xca\xfe\xba\xbe") {
        // fat Mach-O counts architectures where Java has its version
        return Some(if data.get(6..8).is_some_and(|v| v >= &[0, 40]) { Kind::JavaClass } else { Kind::MachO });
    }
    if at(257, b"ustar") || crate::format::tar::looks_old(data) {
        return Some(Kind::Tar);
    }
    if at(0x8001, b"CD001") || at(0x9311, b"CD001") {
        return Some(Kind::Iso);
    }
    if at(7, b"**ACE**") {
        return Some(Kind::Foreign);
    }
    if at(2, b"-lh") || at(2, b"-lz") {
        return Some(Kind::Lha);
    }
    if data.len() > 512
        && data.get(data.len() - 512..).is_some_and(|d| d.starts_with(b"koly") || d.starts_with(b"conectix"))
    {
        return Some(Kind::DiskImage);
    }
    if lzma_alone(data) {
        return Some(Kind::Lzma);
    }
    if let [first, second, ..] = data {
        let cmf = u16::from_be_bytes([*first, *second]);
        if first & 0x0f == 8 && first >> 4 <= 7 && cmf.is_multiple_of(31) && second & 0x20 == 0 && data.len() > 8 {
            return Some(Kind::Zlib);
        }
    }
    // a PDF header may stand anywhere in the first 1024 octets (Acrobat's rule)
    memchr::memmem::find(data.get(..1024).unwrap_or(data), b"%PDF-").map(|_| Kind::Pdf)
}

/// 5-octet properties with a plausible dictionary and a 64-bit size that is unknown or sane.
fn lzma_alone(data: &[u8]) -> bool {
    let Some((head, _)) = data.split_first_chunk::<13>() else { return false };
    let [props, d0, d1, d2, d3, size @ ..] = *head;
    let dictionary = u32::from_le_bytes([d0, d1, d2, d3]);
    let size = u64::from_le_bytes(size);
    let round = dictionary.is_power_of_two() || (dictionary / 3).is_power_of_two() || dictionary == u32::MAX;
    props < 225 && round && dictionary >= 4096 && (size == u64::MAX || size < 1 << 36)
}

fn text(data: &[u8]) -> Kind {
    let head = data.get(..4096).unwrap_or(data);
    let odd = head.iter().filter(|c| matches!(**c, 0..=8 | 14..=26 | 28..=31)).count();
    let utf16 = data.starts_with(b"\xff\xfe") || data.starts_with(b"\xfe\xff");
    if odd * 20 > head.len() && !utf16 {
        return if has_tag(head) { Kind::Html } else { Kind::Data };
    }
    if starts_any(head.trim_ascii_start(), SCRIPT_STARTS) || is_windows_script(data) {
        return Kind::Script;
    }
    if has_tag(head) {
        return Kind::Html;
    }
    if crate::mime::flat::looks_like_message(data) {
        return Kind::Mail;
    }
    Kind::Text
}

/// Whether the content is a script that Windows would run. People send each other the other ones (`#!`) all the time.
pub fn is_windows_script(data: &[u8]) -> bool {
    starts_any(data.get(..4096).unwrap_or(data).trim_ascii_start(), WINDOWS_STARTS)
}

const SCRIPT_STARTS: &[&[u8]] = &[b"#!", b"<?php"];
const WINDOWS_STARTS: &[&[u8]] = &[b"@echo off", b"WScript.", b"CreateObject(", b"On Error Resume Next", b"<job "];
const TAGS: &[&[u8]] = &[
    b"<html",
    b"<!doctype html",
    b"<body",
    b"<script",
    b"<svg",
    b"<iframe",
    b"<head",
    b"<title",
    b"<table",
    b"<div",
    b"<meta",
    b"<a href",
    b"<img",
    b"<hta:",
    b"<?xml",
    b"<object",
    b"<embed",
];

fn starts_any(data: &[u8], list: &[&[u8]]) -> bool {
    list.iter().any(|w| data.get(..w.len()).is_some_and(|d| d.eq_ignore_ascii_case(w)))
}

fn has_tag(head: &[u8]) -> bool {
    memchr::memchr_iter(b'<', head).any(|at| starts_any(head.get(at..).unwrap_or_default(), TAGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        for (data, want) in [
            (&b"PK\x03\x04abc"[..], Kind::Zip),
            (b"MZ\x90", Kind::Pe),
            (b"\x78\x9c\x01\x02\x03\x04\x05\x06\x07", Kind::Zlib),
            (b"<HTML><body>", Kind::Html),
            (b"#!/bin/sh\n", Kind::Script),
            (b"Received: from x\nFrom: a\nTo: b\n\nhi", Kind::Mail),
            (b"hello there", Kind::Text),
            (b"junk\n%PDF-1.4", Kind::Pdf),
            (b"", Kind::Text),
            (b"\0\0\0\0\x01", Kind::Data),
            (b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0", Kind::Lzma),
        ] {
            assert_eq!(detect(data), want, "{data:?}");
        }
    }
}
