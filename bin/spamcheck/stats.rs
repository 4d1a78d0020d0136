//! `--stats`: what the table holds, and how good it is on labelled mail.

use crate::args::Options;
use crate::classify::Judge;
use crate::{labelled, tables};
use penny_spam::{model, roc};
use std::io::{self, Write};
use std::path::PathBuf;

/// Runs it.
pub fn run(o: &Options) -> anyhow::Result<u8> {
    let mut text = table_text(o);
    let mut scores = Vec::new();
    let mut judge = Judge::new(o);
    let mut collect = |paths: &[PathBuf], spam: bool| -> anyhow::Result<()> {
        for path in paths {
            labelled::messages(path, &mut |bytes| {
                let verdict = judge.judge(bytes);
                scores.push(roc::Scored { score: verdict.score, class: verdict.class, spam });
                Ok(())
            })?;
        }
        Ok(())
    };
    collect(&o.ham, false)?;
    collect(&o.spam, true)?;
    if !scores.is_empty() {
        let report = roc::Report::of(&scores);
        text.push_str(&report.text());
        if let Some(path) = &o.svg {
            std::fs::write(path, report.svg())?;
        }
    }
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(0)
}

fn table_text(o: &Options) -> String {
    let (table, trouble) = tables::open(o);
    let mut text = trouble.map_or_else(String::new, |t| format!("trouble: {t}\n"));
    let Some(table) = table else {
        text.push_str("table: none; only the rules speak\n");
        return text;
    };
    let (ham, spam) = table.trained();
    let (weights, counts) = model::fill(&table);
    text.push_str(&format!("learned: {ham} ham, {spam} spam; replaced {} times\n", table.generation()));
    text.push_str(&format!("cells in use: {weights} weights of byte groups, {counts} word counts\n"));
    if let Err(e) = table.verify() {
        text.push_str(&format!("trouble: {e}\n"));
    }
    text
}
