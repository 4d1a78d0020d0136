//! The signature compiler: files in, one compiled file and an account of every line out.
//!
//! Invariants  each line is counted exactly once: taken, ignored by .ign2, or skipped with a reason
//! Failures    a file that cannot be opened as what its name says is an error; a bad line never is

use super::build::Builder;
use super::{builtin, cvd, lines, yara};
use std::collections::{BTreeMap, HashSet};

/// A file to compile.
pub struct Input {
    /// Its name; the extension says what it is.
    pub name: String,
    /// Its content.
    pub data: Vec<u8>,
}

/// A line that was not taken.
#[derive(Clone, Debug)]
pub struct Skipped {
    /// The file.
    pub file: String,
    /// The line number, from 1.
    pub line: usize,
    /// The signature's name where there is one.
    pub name: String,
    /// Why.
    pub reason: &'static str,
}

/// What became of the input.
#[derive(Default)]
pub struct Account {
    /// Lines taken, by kind of file.
    pub taken: BTreeMap<String, usize>,
    /// Lines left out because .ign2 names them.
    pub ignored: usize,
    /// Lines that could not be compiled.
    pub skipped: Vec<Skipped>,
    /// Files of kinds that are not signatures, or not supported, and their lines.
    pub other: BTreeMap<String, usize>,
}

impl Account {
    /// Lines taken in all.
    pub fn total(&self) -> usize {
        self.taken.values().sum()
    }

    /// Skipped lines by reason.
    pub fn reasons(&self) -> BTreeMap<&'static str, usize> {
        let mut out = BTreeMap::new();
        for s in &self.skipped {
            *out.entry(s.reason).or_default() += 1;
        }
        out
    }
}

/// Compiles files (containers are opened) and, unless `bare`, the built-in signatures.
pub fn compile(inputs: Vec<Input>, bare: bool) -> Result<(Vec<u8>, Account), String> {
    let mut files = Vec::new();
    for input in inputs {
        if cvd::is_container(&input.data) {
            let members = cvd::members(&input.data).map_err(|e| format!("{}: {e}", input.name))?;
            files
                .extend(members.into_iter().map(|(name, data)| Input { name: format!("{}/{name}", input.name), data }));
        } else {
            files.push(input);
        }
    }
    let ignored = ignore_list(&files);
    let mut builder = Builder::default();
    builtin::add(&mut builder, bare);
    let mut account = Account::default();
    for file in &files {
        one_file(&mut builder, file, &ignored, &mut account);
    }
    let info = info(&account, &files);
    Ok((builder.finish(&info), account))
}

/// The compiled built-in set alone, for runs without a database.
pub fn builtin_only() -> Vec<u8> {
    let mut builder = Builder::default();
    builtin::add(&mut builder, false);
    builder.finish("built-in signatures only\n")
}

fn kind(name: &str) -> String {
    name.rsplit_once('.').map_or("", |(_, e)| e).to_ascii_lowercase()
}

fn ignore_list(files: &[Input]) -> HashSet<String> {
    let mut out = HashSet::new();
    for file in files {
        let text = String::from_utf8_lossy(&file.data);
        match kind(&file.name).as_str() {
            "ign2" => out.extend(text.lines().map(|l| l.split(':').next().unwrap_or_default().trim().to_owned())),
            "ign" => out.extend(text.lines().filter_map(|l| l.split(':').nth(2)).map(|n| n.trim().to_owned())),
            _ => {}
        }
    }
    out.remove("");
    out
}

fn one_file(builder: &mut Builder, file: &Input, ignored: &HashSet<String>, account: &mut Account) {
    let kind = kind(&file.name);
    let text = String::from_utf8_lossy(&file.data);
    if matches!(kind.as_str(), "ign" | "ign2") {
        return;
    }
    if matches!(kind.as_str(), "yar" | "yara") {
        return rules(builder, file, &text, ignored, account);
    }
    if !lines::known(&kind) {
        *account.other.entry(kind).or_default() += text.lines().count();
        return;
    }
    for (n, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let name = lines::name_of(&kind, line).unwrap_or_default();
        if ignored.contains(name) {
            account.ignored += 1;
            continue;
        }
        match lines::add(builder, &kind, line) {
            Ok(()) => *account.taken.entry(kind.clone()).or_default() += 1,
            Err(reason) => {
                let name = name.to_owned();
                account.skipped.push(Skipped { file: file.name.clone(), line: n + 1, name, reason });
            }
        }
    }
}

/// A file of YARA rules is taken whole or not at all.
fn rules(builder: &mut Builder, file: &Input, text: &str, ignored: &HashSet<String>, account: &mut Account) {
    match yara::check(text) {
        Ok(count) => {
            if builder.yara.is_empty() {
                yara::put(&mut builder.yara, &ignored.iter().map(|n| format!("{n}\n")).collect::<String>());
            }
            yara::put(&mut builder.yara, text);
            *account.taken.entry("yar".into()).or_default() += count;
        }
        Err(name) => {
            account.skipped.push(Skipped {
                file: file.name.clone(),
                line: 1,
                name,
                reason: "YARA rules that do not compile",
            });
        }
    }
}

fn info(account: &Account, files: &[Input]) -> String {
    let mut out = String::new();
    for file in files {
        out.push_str(&format!("file {}\n", file.name.replace(['\n', '\r'], " ")));
    }
    for (kind, n) in &account.taken {
        out.push_str(&format!("taken {kind} {n}\n"));
    }
    // readers look for this word before they normalise any text
    if files.iter().any(wants_text) {
        out.push_str("text-view 1\n");
    }
    out
}

fn wants_text(file: &Input) -> bool {
    let text = String::from_utf8_lossy(&file.data);
    match kind(&file.name).as_str() {
        "ndb" | "ndu" => text.lines().any(|l| matches!(l.split(':').nth(1), Some("3" | "7"))),
        "ldb" | "ldu" => text.lines().any(|l| {
            let attributes = l.split(';').nth(1).unwrap_or_default();
            attributes.split(',').any(|a| matches!(a, "Target:3" | "Target:7"))
        }),
        _ => false,
    }
}
