//! Rules about how the message is built and what is attached.

use super::Facts;
use crate::view::{Kind, Part};

/// Runs them.
pub fn check(f: &mut Facts<'_, '_>) {
    shape(f);
    attachments(f);
    pictures(f);
}

fn shape(f: &mut Facts<'_, '_>) {
    let parts = &f.message.parts;
    let text = parts.iter().any(|p| p.kind == Kind::Text && !p.content.trim_ascii().is_empty());
    let coded = parts.iter().any(|p| p.kind == Kind::Html && p.encoding == b"base64" && p.content.is_ascii());
    let (form, script, refresh) =
        f.message.htmls().fold((false, false, false), |a, h| (a.0 || h.form, a.1 || h.script, a.2 || h.refresh));
    if f.html && !text {
        f.hit("ONLY_HTML", 0.8, "has no plain text");
    }
    if coded {
        f.hit("HTML_NEEDLESSLY_CODED", 1.2, "hides plain HTML in base64");
    }
    if form && !f.list {
        f.hit("HAS_FORM", 0.6, "asks for input in a form");
    }
    if script && !f.list {
        f.hit("HAS_SCRIPT", 0.3, "carries a script");
    }
    if refresh {
        f.hit("HAS_REFRESH", 1.0, "moves the reader to another page by itself");
    }
    let words = f.body.text.split(' ').filter(|w| !w.is_empty()).count();
    if words < 25 && !f.links.is_empty() && !f.reply && !f.list {
        f.hit("SHORT_WITH_LINK", 0.7, "says little and wants a click");
    }
}

/// Ends of file names that run, or open a page or a disk.
const RUNS: &[&str] = &[
    ".exe",
    ".scr",
    ".pif",
    ".com",
    ".bat",
    ".cmd",
    ".vbs",
    ".vbe",
    ".js",
    ".jse",
    ".wsf",
    ".wsh",
    ".hta",
    ".lnk",
    ".ps1",
    ".jar",
    ".msi",
    ".cpl",
    ".dll",
    ".reg",
    ".chm",
    ".iso",
    ".img",
    ".vhd",
    ".one",
    ".xll",
    ".url",
    ".library-ms",
];
const PAGES: &[&str] = &[".htm", ".html", ".shtml", ".xhtml", ".svg", ".mht", ".eml"];
const MACROS: &[&str] = &[".docm", ".xlsm", ".pptm", ".dotm", ".xlam", ".xlsb"];
const PACKED: &[&str] = &[".rar", ".7z", ".ace", ".arj", ".r00", ".r01", ".gz", ".z", ".cab", ".uue", ".lzh", ".tgz"];

fn named<'p>(parts: &'p [Part<'_>], ends: &[&str]) -> Option<&'p [u8]> {
    parts.iter().map(|p| p.filename.as_slice()).find(|n| {
        let lower = n.trim_ascii().to_ascii_lowercase();
        ends.iter().any(|e| lower.ends_with(e.as_bytes()))
    })
}

fn attachments(f: &mut Facts<'_, '_>) {
    let parts = &f.message.parts;
    let show =
        |name: &[u8]| String::from_utf8_lossy(name).chars().filter(|c| !c.is_control()).take(60).collect::<String>();
    let (runs, page, macros, packed) = (
        named(parts, RUNS).map(show),
        named(parts, PAGES).map(show),
        named(parts, MACROS).map(show),
        named(parts, PACKED).map(show),
    );
    let double = parts.iter().any(|p| double_ending(&p.filename));
    if let Some(name) = runs {
        f.hit_with("ATTACHED_PROGRAM", 2.0, format!("brings a program: {name}"));
    }
    if let Some(name) = page.filter(|_| !f.list) {
        f.hit_with("ATTACHED_PAGE", 2.0, format!("brings a web page as a file: {name}"));
    }
    if let Some(name) = macros {
        f.hit_with("ATTACHED_MACROS", 1.2, format!("brings a document with macros: {name}"));
    }
    if let Some(name) = packed.filter(|_| !f.list && !f.reply) {
        f.hit_with("ATTACHED_PACKED", 0.6, format!("brings a packed file: {name}"));
    }
    if double {
        f.hit("DOUBLE_ENDING", 2.0, "a file name hides its real ending");
    }
}

/// `invoice.pdf.exe`, or an ending pushed out of sight by spaces or a direction mark.
fn double_ending(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name).to_lowercase();
    let harmless = [".pdf", ".doc", ".docx", ".xls", ".xlsx", ".jpg", ".txt", ".png", ".mp3", ".wav"];
    let risky = RUNS.iter().chain(PAGES).any(|e| text.ends_with(e));
    (risky && harmless.iter().any(|h| text.contains(&format!("{h}.")) || text.contains(&format!("{h} "))))
        || text.contains('\u{202E}')
}

fn pictures(f: &mut Facts<'_, '_>) {
    let images: usize = f.message.htmls().map(|h| h.images).sum();
    let words = f.body.text.split(' ').filter(|w| w.len() > 2).count();
    let attached = f.message.parts.iter().filter(|p| p.ctype.starts_with(b"image/")).count();
    if images + attached > 0 && words < 20 && !f.reply && !f.list {
        f.hit("PICTURE_INSTEAD_OF_TEXT", 1.5, "shows a picture and says next to nothing");
    }
}
