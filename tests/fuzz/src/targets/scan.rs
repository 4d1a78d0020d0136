//! The readers of virusscan, one target each; its signature files; the whole walk.
//!
//! Seeds lie in corpus/scan-*/; `FUZZ_SEEDS=DIR` adds the samples that tests/data/scan/samples.py writes.

use crate::Target;
use penny_scan::kind::{self, Kind};
use penny_scan::policy::Limits;
use penny_scan::scratch::Scratch;
use penny_scan::sig::{Db, compile};
use penny_scan::sink::{Collect, Sink};
use penny_scan::walk::{self, Options};
use penny_scan::{format, mime, names, normal};
use std::sync::OnceLock;
use std::time::Duration;

const BINHEX: &[u8] = b"(This file must be converted with BinHex 4.0)\n\n:#f0dBA4*G'8!N!3\"!*!$FJ!\"!*!$6R-4N!!:\n";
const VBA: &[u8] = b"\x01\x19\xb0\x00Attribute VB_Name \x00= \"x\"";
const PARAM: &[u8] = b"a/b; name*0*=utf-8'en'a%2e; name*1=\"b.e\"; name*2=xe; name=\"=?utf-8?q?x=2Eexe?=\"";
const LHA: &[u8] = b"\x19\xcd-lh5-\x0c\0\0\0\x20\0\0\0\0\0\0\0\x20\0\x01a\x8f\x0dM\0\0\0\x04\0abc\0\0\0\0";
const SIGNATURES: &[u8] = b"ndb\nA:0:*:41424344??46{2-4}4748*494a\nB:1:EP+5,10:(aa|bb)cc[1-2]dd~ee4?\nhdb\n\
    44d88612fea8a8f36de82e1278abb02f:68:C\nldb\nD;Engine:51-255,Target:0;(0&1)|2>1,1;414243;444546::i;474849\ncdb\n\
    E:CL_TYPE_ZIP:*:.*\\.exe$:*:*:*:1:*:*\nfp\n44d88612fea8a8f36de82e1278abb02f:68:F\n";

const CVD: &[u8] = b"ClamAV-VDB:1:1:1:1:x:x:x:1";
#[cfg(feature = "yara")]
const YARA: &[u8] =
    b"rule a : t { meta: m = 1 strings: $a = \"abc\" nocase wide $b = { 41 ?? [2-4] (42|43) } $c = /x.{2,5}y/i \
    condition: #a > 1 or $b at 0 or any of them and filesize < 10KB or for all i in (1..#c) : (@c[i] < 100) }\n";

pub const TARGETS: &[Target] = &[
    Target { name: "scan-zip", run: zip, seeds: &[] },
    Target { name: "scan-7z", run: |d| read(d, |d, s| format::sevenz::read(d, false, s)), seeds: &[] },
    Target { name: "scan-rar", run: |d| read(d, |d, s| format::rar::read(d, false, s)), seeds: &[] },
    Target { name: "scan-cab", run: |d| read(d, |d, s| format::cab::read(d, false, s)), seeds: &[] },
    Target { name: "scan-arj", run: |d| read(d, |d, s| format::arj::read(d, false, s)), seeds: &[] },
    Target { name: "scan-lha", run: |d| read(d, |d, s| format::lha::read(d, false, s)), seeds: &[LHA] },
    Target { name: "scan-tar", run: |d| read(d, format::tar::read), seeds: &[] },
    Target { name: "scan-cpio", run: |d| read(d, format::cpio::read), seeds: &[] },
    Target { name: "scan-ar", run: |d| read(d, format::ar::read), seeds: &[] },
    Target {
        name: "scan-iso",
        run: iso,
        seeds: &[b"\x01CD001\x01\0", b"\x22\0\x12\0\0\0\0\0\0\x12\0\x08\0\0\0\0\0\0\x08"],
    },
    Target { name: "scan-stream", run: stream, seeds: &[] },
    Target { name: "scan-ole", run: |d| read(d, |d, s| format::ole::read(d, false, s)), seeds: &[] },
    Target { name: "scan-vba", run: |d| read(d, |d, s| format::vba::read(d, 3, s)), seeds: &[VBA] },
    Target { name: "scan-pdf", run: |d| read(d, format::pdf::read), seeds: &[] },
    Target {
        name: "scan-rtf",
        run: |d| read(d, |d, s| everywhere(d, b"\\objdata", s, format::rtf::object)),
        seeds: &[],
    },
    Target {
        name: "scan-onenote",
        run: |d| read(d, |d, s| everywhere(d, b"\xe7\x16\xe3\xbd", s, format::onenote::object)),
        seeds: &[],
    },
    Target { name: "scan-flash", run: |d| read(d, format::flash::read), seeds: &[] },
    Target { name: "scan-szdd", run: |d| read(d, format::szdd::read), seeds: &[] },
    Target { name: "scan-html", run: html, seeds: &[] },
    Target {
        name: "scan-programs",
        run: programs,
        seeds: &[b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff", b"\x7fELF\x02\x01\x01"],
    },
    Target { name: "scan-mail", run: |d| read(d, mime::flat::read), seeds: &[] },
    Target { name: "scan-tnef", run: |d| read(d, mime::tnef::read), seeds: &[] },
    Target { name: "scan-uu", run: |d| read(d, |d, s| everywhere(d, b"begin ", s, mime::uu::read)), seeds: &[] },
    Target { name: "scan-yenc", run: |d| read(d, |d, s| everywhere(d, b"=ybegin ", s, mime::yenc::read)), seeds: &[] },
    Target { name: "scan-binhex", run: |d| read(d, |d, s| mime::binhex::read(d, 0, s)), seeds: &[BINHEX] },
    Target {
        name: "scan-names",
        run: name_forms,
        seeds: &[PARAM, "a\u{202e}fdp.exe. ".as_bytes(), b"x.pdf          .scr::$DATA"],
    },
    Target { name: "scan-signatures", run: signatures, seeds: &[SIGNATURES] },
    Target { name: "scan-cvd", run: container, seeds: &[CVD] },
    #[cfg(feature = "yara")]
    Target { name: "scan-yara", run: rules, seeds: &[YARA] },
    Target { name: "scan-database", run: database, seeds: &[] },
    Target { name: "scan-walk", run: walked, seeds: &[] },
];

/// A reader ends, and what it gives is bounded.
fn read(data: &[u8], reader: impl FnOnce(&[u8], &mut dyn Sink)) {
    let mut sink = Collect::default();
    reader(data, &mut sink);
    // a reader stops once the sink has had enough; one member of bounded size may still come
    let total: usize = sink.members.iter().map(|(_, d)| d.len()).sum();
    assert!(total <= 128 << 20, "{total} octets from {}", data.len());
}

/// Calls a reader that is asked at marked places, at each place.
fn everywhere(data: &[u8], mark: &[u8], sink: &mut dyn Sink, reader: fn(&[u8], usize, &mut dyn Sink)) {
    for at in (0..data.len()).filter(|at| data[*at..].starts_with(mark)) {
        reader(data, at, sink);
    }
    reader(data, data.len() / 2, sink);
}

fn zip(data: &[u8]) {
    use penny_scan::marker::Marker;
    let marks: [(&[u8], Marker); 3] =
        [(b"PK\x03\x04", Marker::ZipLocal), (b"PK\x01\x02", Marker::ZipCentral), (b"PK\x05\x06", Marker::ZipEnd)];
    let found = |at: usize| marks.iter().filter(move |(m, _)| data[at..].starts_with(m)).map(move |(_, k)| (*k, at));
    let mut places: Vec<_> = (0..data.len()).flat_map(found).collect();
    places.sort();
    read(data, |d, s| format::zip::read(d, &places, s));
}

/// The descriptor lies 32 KiB into an image: the input begins there.
fn iso(data: &[u8]) {
    let image = [vec![0; 0x8000], data.to_vec(), vec![0; 4096]].concat();
    read(&image, format::iso::read);
}

fn stream(data: &[u8]) {
    let kinds = [Kind::Gzip, Kind::Bzip2, Kind::Xz, Kind::Lzma, Kind::Lzip, Kind::Zstd, Kind::Compress, Kind::Zlib];
    let kind = kind::detect(data);
    let chosen = kinds.into_iter().find(|k| *k == kind).unwrap_or(kinds[data.len() % kinds.len()]);
    read(data, |d, s| format::stream::read(chosen, d, false, s));
}

fn html(data: &[u8]) {
    read(data, |d, s| everywhere(d, b"base64,", s, format::html::data_uri));
    read(data, |d, s| {
        format::html::literals(d, s);
    });
    let plain = normal::normalise(data, true);
    assert!(plain.len() <= data.len() * 4 + 16);
}

fn programs(data: &[u8]) {
    let _ = (format::pe::is_program(data), format::pe::layout(data), format::elf::layout(data), kind::detect(data));
}

fn name_forms(data: &[u8]) {
    for value in mime::params::readings(data, "name") {
        let name = mime::params::text(&value);
        let _ = (names::judge(&name), names::extension(&name));
        assert!(names::shown(&name).chars().count() <= 120 * 10 + 3);
    }
    let _ = mime::params::words(data);
    let _ = names::judge(&String::from_utf8_lossy(data));
}

/// Lines of signature files, each kind behind a line with its name; what compiles can be opened and used.
fn signatures(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.len() < 5 && line.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()), files.last_mut()) {
            (true, _) => files.push((format!("f.{line}"), String::new())),
            (false, Some(file)) => file.1 += &format!("{line}\n"),
            (false, None) => {}
        }
    }
    let input = |(name, text): (String, String)| compile::Input { name, data: text.into_bytes() };
    if let Ok((bytes, _)) = compile::compile(files.into_iter().map(input).collect(), true) {
        let db = Db::open(&bytes).expect("what was compiled opens");
        walk::walk(&db, &options(), &mut Scratch::new(None), b"ABCDEFGHIJ ABCDxFyyGHzzIJ", &[]);
    }
}

/// A database container: the header of 512 octets is put in front of whatever comes.
fn container(data: &[u8]) {
    let head = data.get(..512).unwrap_or(data);
    let mut whole = [head, &vec![b' '; 512 - head.len()]].concat();
    whole.extend_from_slice(data);
    for data in [&whole[..], data] {
        if let Ok(members) = penny_scan::sig::cvd::members(data) {
            assert!(members.iter().map(|(_, d)| d.len()).sum::<usize>() <= 64 << 20);
        }
    }
}

/// A file of rules; what compiles can be asked.
#[cfg(feature = "yara")]
fn rules(data: &[u8]) {
    let input = compile::Input { name: "a.yar".to_owned(), data: data.to_vec() };
    if let Ok((bytes, _)) = compile::compile(vec![input], true) {
        let db = Db::open(&bytes).expect("what was compiled opens");
        walk::walk(&db, &options(), &mut Scratch::new(None), b"abc ABC A1234B x12y x1234y", &[]);
    }
}

fn options() -> Options {
    let limits = Limits { object: 4 << 20, total: 16 << 20, time: Duration::from_secs(5), ..Limits::default() };
    Options { limits, all: true, tree: true, ..Options::default() }
}

/// A damaged compiled file is refused or scanned with, never trusted.
fn database(data: &[u8]) {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    let mut bytes = GOOD.get_or_init(compile::builtin_only).clone();
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len().max(1);
        if let Some(b) = bytes.get_mut(at) {
            *b ^= change[2];
        }
    }
    if data.len() % 3 == 1 {
        bytes.truncate(bytes.len().saturating_sub(data.len()));
    }
    if let Some(db) = Db::open(&bytes) {
        walk::walk(&db, &options(), &mut Scratch::new(None), b"From: a\nSubject: b\n\nsome text to look at\n", &[]);
    }
}

fn walked(data: &[u8]) {
    static BUILTIN: OnceLock<Vec<u8>> = OnceLock::new();
    let db = Db::open(BUILTIN.get_or_init(compile::builtin_only)).expect("the built-in set");
    let report = walk::walk(&db, &options(), &mut Scratch::new(None), data, &[]);
    assert!(report.objects > 0);
}
