//! Which readers look at an object: one by its first octets, more by the places the sweep has marked.
//!
//! Why         polyglots, self-extractors and appended archives begin anywhere; a reader asked on a guess stays silent
//!             when the guess was wrong

use crate::format;
use crate::kind::Kind;
use crate::marker::Marker;
use crate::mime;
use crate::sink::{Class, Sink, Trouble};

/// Marked places: marker and offset, sorted.
pub type Places = [(Marker, usize)];

/// Most guesses tried of one kind in one object; more is a trouble.
const GUESSES: usize = 256;

/// Opens an object.
pub fn open(kind: Kind, data: &[u8], places: &Places, sink: &mut dyn Sink) {
    by_kind(kind, data, places, sink);
    if kind.is_text() && kind != Kind::Mail {
        in_text(kind, data, places, sink);
    }
    if kind != Kind::Mail {
        embedded(kind, data, places, sink);
    }
}

fn by_kind(kind: Kind, data: &[u8], places: &Places, sink: &mut dyn Sink) {
    match kind {
        Kind::Mail => mime::flat::read(data, sink),
        Kind::Tnef => mime::tnef::read(data, sink),
        Kind::Gzip | Kind::Bzip2 | Kind::Xz | Kind::Lzma | Kind::Lzip | Kind::Zstd | Kind::Compress | Kind::Zlib => {
            format::stream::read(kind, data, false, sink);
        }
        Kind::Tar => format::tar::read(data, sink),
        Kind::Pe if format::pe::is_program(data) => sink.class(Class::Executable, "Windows program"),
        Kind::Elf => sink.class(Class::Executable, "ELF program"),
        Kind::MachO => sink.class(Class::Executable, "Mach-O program"),
        Kind::JavaClass => sink.class(Class::Executable, "Java class"),
        Kind::Link => sink.class(Class::Link, "Windows shortcut"),
        Kind::DiskImage => sink.class(Class::DiskImage, "disk image"),
        Kind::Foreign => sink.trouble(Trouble::Unsupported, "an archive format without a reader"),
        _ => {}
    }
    let _ = places;
}

/// Places of one marker.
fn of(places: &Places, marker: Marker) -> impl Iterator<Item = usize> + '_ {
    places.iter().filter(move |(m, _)| *m == marker).map(|(_, at)| *at)
}

/// Calls `f` for each place of a marker, within reason.
fn each(places: &Places, marker: Marker, sink: &mut dyn Sink, mut f: impl FnMut(usize, &mut dyn Sink)) {
    for (n, at) in of(places, marker).enumerate() {
        if sink.done() {
            return;
        }
        if n >= GUESSES {
            sink.trouble(Trouble::Limit, "too many places where something may begin");
            return;
        }
        f(at, sink);
    }
}

/// Encoded files in text.
fn in_text(kind: Kind, data: &[u8], places: &Places, sink: &mut dyn Sink) {
    each(places, Marker::Uu, sink, |at, s| mime::uu::read(data, at, s));
    each(places, Marker::Yenc, sink, |at, s| mime::yenc::read(data, at, s));
    each(places, Marker::BinHex, sink, |at, s| mime::binhex::read(data, at, s));
    let _ = kind;
}

/// Formats that begin somewhere inside.
fn embedded(kind: Kind, data: &[u8], places: &Places, sink: &mut dyn Sink) {
    let has = |m| of(places, m).next().is_some();
    if kind == Kind::Zip || has(Marker::ZipLocal) || has(Marker::ZipEnd) || has(Marker::ZipCentral) {
        format::zip::read(data, places, sink);
    }
    let streams = [
        (Marker::Gzip, Kind::Gzip),
        (Marker::Xz, Kind::Xz),
        (Marker::Bzip2, Kind::Bzip2),
        (Marker::Zstd, Kind::Zstd),
        (Marker::Lzip, Kind::Lzip),
    ];
    for (marker, stream) in streams.into_iter().filter(|(_, stream)| *stream != kind) {
        each(places, marker, sink, |at, s| {
            if at > 0 {
                format::stream::read(stream, data.get(at..).unwrap_or_default(), true, s);
            }
        });
    }
    each(places, Marker::Tnef, sink, |at, s| {
        if at > 0 && kind == Kind::Data {
            mime::tnef::read(data.get(at..).unwrap_or_default(), s);
        }
    });
}
