//! File names that deceive: what a person sees is not what the system opens.
//!
//! Standards   names arrive decoded from RFC 2231 and RFC 2047 (mime/params.rs) and raw; all readings are judged
//! Known tricks right-to-left override and other bidi controls, double extension, a wall of spaces, trailing dots and
//!             spaces, NUL, alternate data stream, CLSID, device names; and extensions that run when opened

use crate::sink::Class;

/// Extensions that a double click runs on some common system.
const RUNS: &[&str] = &[
    "ade",
    "adp",
    "apk",
    "app",
    "appref-ms",
    "appx",
    "appxbundle",
    "application",
    "bat",
    "cab",
    "chm",
    "cmd",
    "com",
    "cpl",
    "diagcab",
    "dll",
    "ex",
    "ex_",
    "exe",
    "gadget",
    "hlp",
    "hta",
    "inf",
    "ins",
    "isp",
    "jar",
    "jnlp",
    "jse",
    "lib",
    "mde",
    "msc",
    "msh",
    "msh1",
    "msh2",
    "msi",
    "msix",
    "msp",
    "mst",
    "nsh",
    "ocx",
    "pif",
    "reg",
    "scf",
    "scr",
    "sct",
    "settingcontent-ms",
    "shb",
    "shs",
    "sys",
    "vb",
    "vbe",
    "vbs",
    "vbscript",
    "vxd",
    "wsc",
    "wsf",
    "wsh",
    "xll",
    "xnk",
];
/// Extensions of scripts.
const SCRIPTS: &[&str] = &[
    "js", "jse", "vbs", "vbe", "wsf", "wsh", "wsc", "hta", "ps1", "ps1xml", "ps2", "psc1", "psm1", "psd1", "bat",
    "cmd", "sct",
];
/// Extensions of shortcuts.
const LINKS: &[&str] = &["lnk", "library-ms", "search-ms", "searchconnector-ms", "website", "desktop"];
/// Extensions of files that only point somewhere.
const POINTERS: &[&str] = &["url"];
/// Extensions of disk images.
const IMAGES: &[&str] = &["iso", "img", "vhd", "vhdx", "udf", "nrg", "toast"];
/// Extensions that a name pretends to have when it hides another behind them.
const DECOYS: &[&str] = &[
    "txt", "pdf", "doc", "docx", "xls", "xlsx", "ppt", "pptx", "rtf", "jpg", "jpeg", "png", "gif", "bmp", "tif",
    "tiff", "mp3", "mp4", "avi", "mov", "htm", "html", "zip", "rar", "csv", "odt", "xml", "eml", "wav", "mpg", "mpeg",
];

/// What is wrong with a name.
pub fn judge(name: &str) -> Vec<(Class, String)> {
    let mut out = Vec::new();
    let mut trick = |detail: &str| out.push((Class::Name, format!("{detail}: {}", shown(name))));
    if name.chars().any(is_bidi) {
        trick("bidirectional control in the name");
    }
    if name.contains('\0') {
        trick("NUL in the name");
    }
    let plain: String = name.chars().filter(|c| !is_bidi(*c) && !is_invisible(*c)).collect();
    let first = plain.split('\0').next().unwrap_or_default();
    if let Some(detail) = structure(base(first)) {
        trick(detail);
    }
    for reading in readings(&plain) {
        classes(&reading, name, &mut out);
    }
    out.sort();
    out.dedup();
    out
}

/// The last path component, by either separator.
fn base(name: &str) -> &str {
    name.trim_end_matches(['/', '\\']).rsplit(['/', '\\']).next().unwrap_or_default()
}

fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{00ad}' | '\u{180e}')
}

fn structure(name: &str) -> Option<&'static str> {
    let trimmed = name.trim_end_matches(['.', ' ', '\t', '\u{a0}', '\u{3000}']);
    if trimmed.len() != name.len() && risky(trimmed) {
        return Some("dots or spaces behind a dangerous extension");
    }
    if name.split_once(':').is_some_and(|(file, stream)| file.len() > 1 && (is_stream(stream) || risky(file))) {
        return Some("alternate data stream");
    }
    if has_clsid(name) {
        return Some("CLSID in place of an extension");
    }
    if name.contains("        ") && risky(trimmed) {
        return Some("a wall of spaces hides the extension");
    }
    double_extension(trimmed).then_some("double extension")
}

fn is_stream(text: &str) -> bool {
    text.to_ascii_uppercase().contains("$DATA") || text.starts_with(':')
}

fn has_clsid(name: &str) -> bool {
    name.split('{').skip(1).any(|tail| {
        let id = tail.split('}').next().unwrap_or_default();
        id.len() == 36 && id.bytes().all(|c| c == b'-' || c.is_ascii_hexdigit())
    })
}

fn double_extension(name: &str) -> bool {
    let mut parts = name.rsplit('.').map(|p| p.trim().to_ascii_lowercase());
    let (Some(last), Some(before)) = (parts.next(), parts.next()) else { return false };
    dangerous(&last) && DECOYS.contains(&before.as_str())
}

fn dangerous(extension: &str) -> bool {
    [RUNS, SCRIPTS, LINKS].iter().any(|list| list.contains(&extension))
}

fn risky(name: &str) -> bool {
    extension(name).is_some_and(|e| dangerous(&e))
}

/// The extension in lower case.
pub fn extension(name: &str) -> Option<String> {
    let (_, e) = base(name).rsplit_once('.')?;
    Some(e.trim_matches([' ', '\t', '\u{a0}', '"', '\'', ';']).to_ascii_lowercase())
}

/// The names a system may make of one: whole, cut at NUL, without trailing dots and spaces, without a stream.
fn readings(name: &str) -> Vec<String> {
    let mut out = vec![name.to_owned()];
    out.extend(name.split('\0').map(str::to_owned));
    for n in out.clone() {
        let b = base(&n).to_owned();
        out.push(b.trim_end_matches(['.', ' ', '\t', '\u{a0}', '\u{3000}']).to_owned());
        out.extend(b.split_once(':').map(|(file, _)| file.to_owned()));
    }
    out.sort();
    out.dedup();
    out
}

fn classes(reading: &str, name: &str, out: &mut Vec<(Class, String)>) {
    let Some(e) = extension(reading) else { return };
    let e = e.as_str();
    for (list, class) in [
        (SCRIPTS, Class::Script),
        (POINTERS, Class::Active),
        (LINKS, Class::Link),
        (IMAGES, Class::DiskImage),
        (RUNS, Class::Extension),
    ] {
        if list.contains(&e) {
            out.push((class, format!("extension .{e}: {}", shown(name))));
            return;
        }
    }
}

/// A name fit for a header or a terminal.
pub fn shown(name: &str) -> String {
    let mut out: String = name
        .chars()
        .take(120)
        .map(|c| {
            if c.is_control() || is_bidi(c) || is_invisible(c) {
                format!("\\u{{{:x}}}", c as u32)
            } else {
                c.to_string()
            }
        })
        .collect();
    if name.chars().nth(120).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(name: &str) -> Vec<&'static str> {
        let mut w: Vec<_> = judge(name).into_iter().map(|(c, _)| c.word()).collect();
        w.dedup();
        w
    }

    #[test]
    fn tricks_are_named() {
        for name in [
            "invoice\u{202e}fdp.exe",
            "photo.jpg.scr",
            "letter.pdf                                   .exe",
            "run.exe.",
            "run.exe   ",
            "run.exe\0.txt",
            "run.exe::$DATA",
            "x.txt.{3050F4D8-98B5-11CF-BB82-00AA00BDCE0B}",
        ] {
            assert!(words(name).contains(&"name"), "{name:?} {:?}", judge(name));
        }
    }

    #[test]
    fn extensions_have_classes() {
        for (name, want) in [
            ("a.exe", vec!["extension"]),
            ("dir\\b.JS", vec!["script"]),
            ("c.lnk", vec!["link"]),
            ("d.iso", vec!["disk-image"]),
            ("report.pdf", vec![]),
            ("archive.tar.gz", vec![]),
            ("Mr. Smith.doc", vec![]),
            ("C:\\docs\\a.txt", vec![]),
            ("exe", vec![]),
        ] {
            assert_eq!(words(name), want, "{name}");
        }
    }

    #[test]
    fn shown_names_are_harmless() {
        assert_eq!(shown("a\u{202e}\n"), "a\\u{202e}\\u{a}");
        assert!(shown(&"x".repeat(500)).len() < 130);
    }
}
