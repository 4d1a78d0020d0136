//! `pennypost defaults`: the configuration file with every key, its description and its default in comments.

use penny_base::config::{Config, Filter, Listen, Shown};
use penny_base::{Failure, Outcome};
use std::fmt::Write as _;
use std::io::Write;

pub fn run(man: bool) -> Result<Outcome, Failure> {
    let text = if man { crate::page::text() } else { text() };
    std::io::stdout().lock().write_all(text.as_bytes()).map_err(|e| Failure::io("standard output", &e))?;
    Ok(Outcome::Done)
}

fn text() -> String {
    let mut out = String::from(
        "# pennypost.toml: every key with its default. Take the comment sign away to change one.\n\
         # See pennypost.toml(5); `pennypost check` shows all mistakes with their places.\n",
    );
    let mut section = "";
    Config::default().each(&mut |s| {
        if s.section != section {
            section = s.section;
            let _ = write!(out, "\n[{section}]\n");
        }
        put(&mut out, &s);
    });
    out.push_str("\n# One entry for each address to listen on.\n#[[listen]]\n");
    Listen::default().each(&mut |s| put(&mut out, &s));
    out.push_str("\n# One entry for each filter, in the order they run.\n#[[filter]]\n");
    Filter::default().each(&mut |s| put(&mut out, &s));
    out
}

fn put(out: &mut String, s: &Shown) {
    for line in s.doc {
        let _ = writeln!(out, "#{line}");
    }
    let _ = writeln!(out, "#{} = {}", s.key, s.value.show());
}
