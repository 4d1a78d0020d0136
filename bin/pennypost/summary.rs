//! `pennypost summary`: a day of mail in numbers, as text or as one HTML page with charts that needs nothing else.

mod chart;
mod html;
mod stats;
mod text;

use crate::logs::Source;
use crate::table::say;
pub use chart::escape;
use clap::Args;
use penny_base::{Config, Failure, Outcome};
use penny_mime::date::{days_from_civil, days_in_month};
pub use stats::{Counts, Stats, largest};
use std::path::{Path, PathBuf};

/// What to sum up.
#[derive(Debug, Args)]
pub struct Options {
    #[command(flatten)]
    source: Source,
    /// A day, 2026-11-24 (UTC); else the last hours.
    #[arg(long)]
    day: Option<String>,
    /// How many hours back.
    #[arg(long, default_value_t = 24)]
    hours: u32,
    /// Rows of each list.
    #[arg(long, default_value_t = 10)]
    top: usize,
    /// Write an HTML page to this file; - is standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

/// Runs it.
pub fn run(file: &Path, options: &Options) -> Result<Outcome, Failure> {
    let config = Config::load(Some(file))?;
    let (from, to) = window(options)?;
    let mut stats = Stats::new(from, to);
    options.source.clone().or_beside(&config).after(from).each(&mut |line| stats.take(&line))?;
    let Some(page) = &options.html else {
        text::show(&stats, &config.hostname(), options.top)?;
        return Ok(Outcome::Done);
    };
    let html = html::page(&stats, &config.hostname(), options.top);
    if page == Path::new("-") {
        return say(&html);
    }
    penny_sys::fs::replace_file(page, html.as_bytes(), 0o644).map_err(|e| Failure::io(page.display(), &e))?;
    Ok(Outcome::Done)
}

fn window(options: &Options) -> Result<(f64, f64), Failure> {
    let now = penny_sys::time::now().as_secs_f64();
    let Some(day) = &options.day else {
        // whole hours, so that the bars of the chart are whole too
        let to = (now / 3600.0).floor() * 3600.0 + 3600.0;
        return Ok((to - f64::from(options.hours.clamp(1, 24 * 31)) * 3600.0, to));
    };
    let wrong = || Failure::usage(format!("{day:?} is no day: 2026-11-24"));
    let mut parts = day.splitn(3, '-');
    let year = parts.next().and_then(|p| p.parse::<i32>().ok()).ok_or_else(wrong)?;
    let mut part = || parts.next().and_then(|p| p.parse::<u8>().ok()).ok_or_else(wrong);
    let (month, date) = (part()?, part()?);
    if !(1..=days_in_month(year, month)).contains(&date) {
        return Err(wrong());
    }
    let from = days_from_civil(year, month, date) as f64 * 86400.0;
    Ok((from, from + 86400.0))
}
