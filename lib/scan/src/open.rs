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

/// Most data: addresses decoded of one object: pages with hundreds of pictures are common.
const PICTURES: usize = 5000;
/// Largest text searched for literals.
const SCRIPT_MAX: usize = 32 << 20;

/// Opens an object.
pub fn open(kind: Kind, data: &[u8], places: &Places, sink: &mut dyn Sink) {
    by_kind(kind, data, sink);
    if kind.is_text() && kind != Kind::Mail {
        in_text(kind, data, places, sink);
    }
    if kind != Kind::Mail {
        embedded(kind, data, places, sink);
    }
}

fn by_kind(kind: Kind, data: &[u8], sink: &mut dyn Sink) {
    match kind {
        Kind::Mail => mime::flat::read(data, sink),
        Kind::Tnef => mime::tnef::read(data, sink),
        Kind::Gzip | Kind::Bzip2 | Kind::Xz | Kind::Lzma | Kind::Lzip | Kind::Zstd | Kind::Compress | Kind::Zlib => {
            format::stream::read(kind, data, false, sink);
        }
        Kind::Tar => format::tar::read(data, sink),
        Kind::Cpio => format::cpio::read(data, sink),
        Kind::Ar => format::ar::read(data, sink),
        Kind::Iso => format::iso::read(data, sink),
        Kind::SevenZip => format::sevenz::read(data, false, sink),
        Kind::Rar => format::rar::read(data, false, sink),
        Kind::Cab => format::cab::read(data, false, sink),
        Kind::Arj => format::arj::read(data, false, sink),
        Kind::Lha => format::lha::read(data, false, sink),
        Kind::Ole2 => format::ole::read(data, false, sink),
        Kind::Pdf => format::pdf::read(data, sink),
        Kind::Flash => format::flash::read(data, sink),
        Kind::Szdd => format::szdd::read(data, sink),
        Kind::Pe if format::pe::is_program(data) => sink.class(Class::Executable, "Windows program"),
        Kind::Elf => sink.class(Class::Executable, "ELF program"),
        Kind::MachO => sink.class(Class::Executable, "Mach-O program"),
        Kind::JavaClass => sink.class(Class::Executable, "Java class"),
        Kind::Link => sink.class(Class::Link, "Windows shortcut"),
        Kind::DiskImage => sink.class(Class::DiskImage, "disk image"),
        Kind::Foreign => sink.trouble(Trouble::Unsupported, "an archive format without a reader"),
        _ => {}
    }
}

/// Places of one marker.
fn of(places: &Places, marker: Marker) -> impl Iterator<Item = usize> + '_ {
    places.iter().filter(move |(m, _)| *m == marker).map(|(_, at)| *at)
}

fn has(places: &Places, marker: Marker) -> bool {
    of(places, marker).next().is_some()
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
    // words of prose: these readers cost little where nothing is encoded
    let words: [(Marker, Word); 3] =
        [(Marker::Uu, mime::uu::read), (Marker::Yenc, mime::yenc::read), (Marker::BinHex, mime::binhex::read)];
    for (marker, read) in words {
        for at in of(places, marker) {
            if sink.done() {
                return;
            }
            read(data, at, sink);
        }
    }
    let readable = data.len() < SCRIPT_MAX;
    if has(places, Marker::Base64) {
        let mut n = 0;
        for at in of(places, Marker::Base64) {
            n += 1;
            if sink.done() || n > PICTURES {
                break;
            }
            format::html::data_uri(data, at, sink);
        }
        if n > PICTURES {
            sink.trouble(Trouble::Limit, "too many data: addresses");
        }
    }
    let builds = has(places, Marker::Smuggle);
    if (builds || has(places, Marker::Decode) || kind == Kind::Script) && readable {
        let octets = format::html::literals(data, sink);
        if builds && octets > 0 {
            sink.class(Class::Smuggling, "a script that builds a file of its own text");
        }
    }
}

/// A reader of text encoded behind a word.
type Word = fn(&[u8], usize, &mut dyn Sink);

/// A reader that is asked whether an archive begins here.
type Guess = fn(&[u8], bool, &mut dyn Sink);

/// Formats that begin somewhere inside.
fn embedded(kind: Kind, data: &[u8], places: &Places, sink: &mut dyn Sink) {
    let zip = [Marker::ZipLocal, Marker::ZipEnd, Marker::ZipCentral];
    if kind == Kind::Zip || zip.into_iter().any(|m| has(places, m)) {
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
    let archives: [(Marker, usize, Guess); 6] = [
        (Marker::SevenZip, 0, format::sevenz::read),
        (Marker::Rar4, 0, format::rar::read),
        (Marker::Rar5, 0, format::rar::read),
        (Marker::Cab, 0, format::cab::read),
        (Marker::Arj, 0, format::arj::read),
        (Marker::Lha, 2, format::lha::read),
    ];
    for (marker, back, read) in archives {
        let mut known = 0;
        each(places, marker, sink, |at, s| {
            // members of one archive are marked too: one reading of it is enough
            let start = at.saturating_sub(back);
            if start > 0 && (marker != Marker::Lha || (kind != Kind::Lha && known == 0)) {
                read(data.get(start..).unwrap_or_default(), true, s);
                known += 1;
            }
        });
    }
    each(places, Marker::Ole2, sink, |at, s| {
        if at > 0 {
            format::ole::read(data.get(at..).unwrap_or_default(), true, s);
        }
    });
    if kind != Kind::Pdf {
        // one reading from the first header takes in all that follow
        if let Some(at) = of(places, Marker::Pdf).next() {
            format::pdf::read(data.get(at..).unwrap_or_default(), sink);
        }
    }
    each(places, Marker::ObjData, sink, |at, s| format::rtf::object(data, at, s));
    each(places, Marker::OneNote, sink, |at, s| format::onenote::object(data, at, s));
    each(places, Marker::Vba, sink, |at, s| format::vba::read(data, at, s));
    each(places, Marker::Tnef, sink, |at, s| {
        if at > 0 && kind == Kind::Data {
            mime::tnef::read(data.get(at..).unwrap_or_default(), s);
        }
    });
}
