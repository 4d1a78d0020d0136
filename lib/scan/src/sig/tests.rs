//! Compiling and matching, end to end.

use super::compile::{Input, compile};
use super::db::{Db, Hits, Subject};
use super::place::{Layout, Target};

fn inputs(files: &[(&str, &str)]) -> Vec<Input> {
    files.iter().map(|(n, d)| Input { name: (*n).into(), data: d.as_bytes().to_vec() }).collect()
}

/// Names found in `data` by the signatures of `files`.
fn find(files: &[(&str, &str)], data: &[u8], target: Target) -> Vec<String> {
    let (file, account) = compile(inputs(files), true).unwrap();
    assert!(account.skipped.is_empty(), "{:?}", account.skipped);
    let db = Db::open(&file).unwrap();
    let mut hits = Hits::default();
    let layout = Layout::default();
    let normalised = target.is_normalised();
    db.scan(&Subject { data, target, layout: &layout, normalised }, &mut hits);
    let mut names: Vec<String> = hits.found.iter().map(|n| db.sig_name(*n)).collect();
    names.sort();
    names
}

fn hex(s: &str) -> String {
    s.bytes().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn body_signatures() {
    let text = b"....MZ and then PAYLOAD with WORDS after it; end";
    for (line, want) in [
        (format!("A:0:*:{}", hex("PAYLOAD")), true),
        (format!("A:0:16:{}", hex("PAYLOAD")), true),
        (format!("A:0:15:{}", hex("PAYLOAD")), false),
        (format!("A:0:10,8:{}", hex("PAYLOAD")), true),
        (format!("A:0:EOF-3:{}", hex("end")), true),
        (format!("A:0:*:{}*{}", hex("PAYLOAD"), hex("end")), true),
        (format!("A:0:*:{}*{}", hex("WORDS"), hex("PAYLOAD")), false),
        (format!("A:0:*:{}{{6}}{}", hex("PAYLOAD"), hex("WORDS")), true),
        (format!("A:0:*:{}{{5}}{}", hex("PAYLOAD"), hex("WORDS")), false),
        (format!("A:0:*:{}{{-9}}{}", hex("PAYLOAD"), hex("WORDS")), true),
        (format!("A:0:*:{}{{7-}}{}", hex("PAYLOAD"), hex("WORDS")), false),
        ("A:0:*:50??594c4f4?44".to_owned(), true),
        (format!("A:0:*:{}(41|42){}", hex("P"), hex("YLOAD")), true),
        (format!("A:0:*:{}!(41|42){}", hex("P"), hex("YLOAD")), false),
        (format!("A:0:*:{}(4242|4159){}", hex("P"), hex("LOAD")), true),
        (format!("A:0:4:{}*{}", hex("MZ"), hex("WORDS")), true),
        (format!("A:0:3:{}*{}", hex("MZ"), hex("WORDS")), false),
        (format!("A:1:*:{}", hex("PAYLOAD")), false),
    ] {
        assert_eq!(!find(&[("x.ndb", &line)], text, Target::ANY).is_empty(), want, "{line}");
    }
}

#[test]
fn logical_signatures() {
    let text = b"alpha beta alpha Gamma g\0a\0m\0m\0a\0";
    for (line, want) in [
        (format!("L;Target:0;0&1;{};{}", hex("alpha"), hex("beta")), true),
        (format!("L;Target:0;0=2;{}", hex("alpha")), true),
        (format!("L;Target:0;0>2;{}", hex("alpha")), false),
        (format!("L;Target:0;0;{}", hex("gamma")), false),
        (format!("L;Target:0;0;{}::i", hex("gAMMA")), true),
        (format!("L;Target:0;0;{}::w", hex("gamma")), true),
        (format!("L;Target:0;0;{}::wai", hex("Gamma")), true),
        (format!("L;Target:0;0;{}::f", hex("alph")), false),
        (format!("L;Target:0;0;{}::f", hex("alpha")), true),
        (format!("L;Target:0,FileSize:1-10;0;{}", hex("alpha")), false),
        (format!("L;Target:0,FileSize:1-100;0;{}", hex("alpha")), true),
        (format!("L;Target:0;0&1;0:616c;{}", hex("beta")), true),
        (format!("L;Target:0;0&1;1:616c;{}", hex("beta")), false),
        (format!("L;Target:0;(0|1|2)>2,2;{};{};{}", hex("alpha"), hex("beta"), hex("nothing")), true),
    ] {
        assert_eq!(!find(&[("x.ldb", &line)], text, Target::ANY).is_empty(), want, "{line}");
    }
}

#[test]
fn many_signatures_each_found() {
    let word = |n: u32| format!("{:08x}{:08x}ff{:08x}", n.wrapping_mul(2_654_435_761), n.wrapping_mul(40_503), n);
    let lines: String = (0..3000).map(|n| format!("S{n}:0:*:{}\n", word(n))).collect();
    let (file, account) = compile(inputs(&[("m.ndb", &lines)]), true).unwrap();
    assert_eq!(account.total(), 3000);
    let db = Db::open(&file).unwrap();
    for n in (0..3000).step_by(37) {
        let bytes: Vec<u8> = (0..13).map(|i| u8::from_str_radix(&word(n)[2 * i..2 * i + 2], 16).unwrap()).collect();
        let data = [b"before ".as_slice(), &bytes, b" after"].concat();
        let mut hits = Hits::default();
        db.scan(
            &Subject { data: &data, target: Target::ANY, layout: &Layout::default(), normalised: false },
            &mut hits,
        );
        assert!(hits.found.iter().any(|f| db.sig_name(*f) == format!("S{n}")), "S{n}");
    }
}

#[test]
fn what_cannot_be_compiled_is_listed() {
    let ndb = "Good:0:*:4142434445\nShort:0:*:4142\nBadHex:0:*:41zz\nOld:0:*:4142434445:1:50\nVi:1:VI:41424344\n";
    let ldb = "Pcre;Target:0;0;0/abc/i\nIcon;IconGroup1:x;0;41424344\nZero;Target:0;0=0;41424344\n";
    let (_, account) = compile(inputs(&[("a.ndb", ndb), ("b.ldb", ldb), ("c.cbc", "x\ny\n")]), true).unwrap();
    assert_eq!(account.total(), 1);
    let names: Vec<_> = account.skipped.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["Short", "BadHex", "Old", "Vi", "Pcre", "Icon", "Zero"]);
    assert_eq!(account.other.get("cbc"), Some(&2));
}

#[test]
fn ignored_names() {
    let files = [("a.ndb", "A:0:*:4142434445\nB:0:*:4142434445\n"), ("x.ign2", "A\n")];
    assert_eq!(find(&files, b"ABCDE", Target::ANY), ["B"]);
}

#[test]
fn normalised_targets() {
    let line = format!("T:7:*:{}", hex("evil words"));
    assert_eq!(find(&[("t.ndb", &line)], b"some evil words", Target::TEXT), ["T"]);
    assert!(find(&[("t.ndb", &line)], b"some evil words", Target::ANY).is_empty());
}

#[test]
fn gaps_cannot_take_for_ever() {
    let line = format!("G:0:*:{}*{}*{}*{}", hex("aaaa"), hex("aaaa"), hex("aaaa"), hex("aaab"));
    let data = vec![b'a'; 200_000];
    let (file, _) = compile(inputs(&[("g.ndb", &line)]), true).unwrap();
    let db = Db::open(&file).unwrap();
    let mut hits = Hits::default();
    let start = std::time::Instant::now();
    db.scan(&Subject { data: &data, target: Target::ANY, layout: &Layout::default(), normalised: false }, &mut hits);
    assert!(hits.overrun || hits.found.is_empty());
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn damaged_files_are_harmless() {
    let (file, _) = compile(
        inputs(&[("a.ndb", "A:0:*:4142434445*4647\n"), ("a.hdb", "d41d8cd98f00b204e9800998ecf8427e:5:H\n")]),
        false,
    )
    .unwrap();
    let layout = Layout::default();
    let run = |bytes: &[u8]| {
        if let Some(db) = Db::open(bytes) {
            let mut hits = Hits::default();
            db.scan(
                &Subject { data: b"xxABCDE..FG", target: Target::ANY, layout: &layout, normalised: false },
                &mut hits,
            );
            hits.found.iter().for_each(|n| drop(db.sig_name(*n)));
            db.hashes.iter().flatten().for_each(|t| assert!(t.find(&[0xd4; 16], 6).is_none()));
        }
    };
    for cut in (0..file.len()).step_by(file.len() / 400 + 1) {
        run(&file[..cut]);
        let mut bent = file.clone();
        bent[cut] ^= 0xff;
        run(&bent);
    }
}

/// What a walk says with the signatures of `files`, the names sorted.
fn walked(files: Vec<Input>, data: &[u8]) -> Vec<String> {
    use crate::walk::{Options, walk};
    let (file, account) = compile(files, true).unwrap();
    assert!(account.skipped.is_empty() && account.other.is_empty(), "{:?} {:?}", account.skipped, account.other);
    let db = Db::open(&file).unwrap();
    let options = Options { all: true, ..Options::default() };
    let report = walk(&db, &options, &mut crate::scratch::Scratch::new(None), data, &[]);
    let mut names: Vec<String> = report.found.into_iter().map(|f| f.what).collect();
    names.sort();
    names.dedup();
    names
}

/// One signature of each kind for the sample program, and its digests: (of the whole, of its section).
fn every_kind() -> (Vec<(&'static str, String)>, Vec<u8>) {
    use super::hashes::Algorithm::{Md5, Sha1, Sha256};
    let data = crate::format::pe::tests::sample();
    let section = &data[0x200..0x400];
    let sum = |a: super::hashes::Algorithm, d: &[u8]| crate::walk::hex(&a.digest(d));
    let files = vec![
        ("a.hdb", format!("{}:{}:Hdb\n", sum(Md5, &data), data.len())),
        ("a.hsb", format!("{}:{}:Hsb1\n{}:*:Hsb256:73\n", sum(Sha1, &data), data.len(), sum(Sha256, &data))),
        ("a.mdb", format!("{}:{}:Mdb\n", section.len(), sum(Md5, section))),
        ("a.msb", format!("{}:{}:Msb\n", section.len(), sum(Sha256, section))),
        ("a.ndb", "Ndb:1:*:504500000000\n".to_owned()),
        ("a.ldb", "Ldb;Engine:51-255,Target:1;0&1;0:4d5a;128:50450000\n".to_owned()),
    ];
    (files, data)
}

const ALL_KINDS: [&str; 7] = ["Hdb", "Hsb1", "Hsb256", "Ldb", "Mdb", "Msb", "Ndb"];

#[test]
fn every_kind_of_file_finds() {
    let (files, data) = every_kind();
    let texts: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
    assert_eq!(walked(inputs(&texts), &data), ALL_KINDS);
    let mut other = data.clone();
    other[0x300] ^= 1;
    assert_eq!(walked(inputs(&texts), &other), ["Ldb", "Ndb"]);
    // each kind alone, so that none stands in for another
    for (file, text) in &texts {
        let names = walked(inputs(&[(file, text)]), &data);
        assert!(!names.is_empty() && names.iter().all(|n| file.contains(&n[..3].to_lowercase())), "{file}: {names:?}");
    }
}

#[test]
fn known_files_and_ignored_names_are_not_found() {
    let (files, data) = every_kind();
    let with = |name: &str, text: &str| {
        let mut all: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        all.push((name, text));
        walked(inputs(&all), &data)
    };
    let sum = |a: super::hashes::Algorithm| crate::walk::hex(&a.digest(&data));
    use super::hashes::Algorithm::{Md5, Sha256};
    assert!(with("a.fp", &format!("{}:{}:Known\n", sum(Md5), data.len())).is_empty());
    assert!(with("a.sfp", &format!("{}:{}:Known\n", sum(Sha256), data.len())).is_empty());
    assert_eq!(with("a.fp", &format!("{}:7:Other\n", sum(Md5))), ALL_KINDS);
    assert_eq!(with("a.ign2", "Mdb\nHsb1\n"), ["Hdb", "Hsb256", "Ldb", "Msb", "Ndb"]);
}

#[test]
fn containers_of_databases() {
    use crate::format::tar::tests as tar;
    use std::io::Write;
    let (files, data) = every_kind();
    let mut plain = files.iter().map(|(n, t)| tar::member(n, b'0', t.as_bytes())).collect::<Vec<_>>().concat();
    plain.extend([0; 1024]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&plain).unwrap();
    let packed = gz.finish().unwrap();
    let container = |body: &[u8]| {
        let md5 = crate::walk::hex(&super::hashes::Algorithm::Md5.digest(body));
        let mut head = format!("ClamAV-VDB:24 Nov 2026 12-00 +0000:1:7:90:{md5}:x:nobody:1").into_bytes();
        head.resize(512, b' ');
        [&head[..], body].concat()
    };
    for (name, body) in [("main.cvd", container(&packed)), ("daily.cld", container(&plain))] {
        assert_eq!(walked(vec![Input { name: name.into(), data: body }], &data), ALL_KINDS, "{name}");
    }
    let mut damaged = container(&packed);
    damaged[600] ^= 1;
    assert!(compile(vec![Input { name: "main.cvd".into(), data: damaged }], true).is_err());
}
