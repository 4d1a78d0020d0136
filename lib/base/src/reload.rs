//! SIGHUP of a resident service: the configuration is read again while it serves.
//!
//! Invariants  1. a file with mistakes changes nothing: the log has each with its place   2. what a running process cannot
//!             change keeps its value, and the log names it
//! Not here    what each service does with the new values, and that it says `reloaded` then

use crate::config::{Ids, Paths, Raw};
use crate::{Config, log};

/// The file as it is now, for a service that runs with `running`; nothing where it has mistakes.
pub fn read(running: &Config) -> Option<Config> {
    let mut new = load(running)?;
    let changed = keep_fixed(running, &mut new);
    if !changed.is_empty() {
        log::warning("needs-restart", None, &[("keys", &changed.join(" "))]);
    }
    log::set_debug(new.top.debug);
    Some(new)
}

/// The file as it is now; nothing where it has mistakes.
pub(crate) fn load(running: &Config) -> Option<Config> {
    let mistakes = match Config::load(Some(&running.file)) {
        Ok(new) => return Some(new),
        Err(mistakes) => mistakes.to_string(),
    };
    for mistake in mistakes.lines() {
        log::error("reload", None, &[("why", &mistake)]);
    }
    None
}

/// Sockets, directories and ids are in use, and other processes find us by them: they stay as they are. Tells which keys
/// that concerns.
fn keep_fixed(running: &Config, new: &mut Config) -> Vec<String> {
    let before = fixed(running);
    let changed = fixed(new).into_iter().filter(|key| !before.contains(key)).map(|(name, _)| name).collect();
    new.paths.clone_from(&running.paths);
    new.ids.clone_from(&running.ids);
    new.top.log = running.top.log;
    changed
}

fn fixed(config: &Config) -> Vec<(String, Raw)> {
    let mut all = Vec::new();
    config.each(&mut |shown| match shown.section {
        "" if shown.key == "log" => all.push((shown.key.to_owned(), shown.value)),
        Paths::SECTION | Ids::SECTION => all.push((format!("{}.{}", shown.section, shown.key), shown.value)),
        _ => {}
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn parse(text: &str) -> Config {
        Config::parse(Path::new("p.toml"), text).unwrap()
    }

    #[test]
    fn what_is_in_use_stays_and_is_named() {
        let running = parse("[paths]\nrun = \"/a\"\n");
        let mut new = parse("hostname = \"h\"\nlog = \"syslog\"\n[paths]\nrun = \"/b\"\n[ids]\nnet = \"n\"\n");
        assert_eq!(keep_fixed(&running, &mut new), ["log", "paths.run", "ids.net"]);
        assert_eq!((new.paths.run.as_path(), new.ids.net.as_str()), (Path::new("/a"), "ppnet"));
        assert_eq!(new.top.hostname, "h", "all else is new");
        assert!(keep_fixed(&running, &mut new).is_empty());
    }

    #[test]
    fn a_file_with_mistakes_is_none() {
        let file = std::env::temp_dir().join(format!("penny-reload-{:x}", penny_sys::random::u64()));
        let running = Config { file: file.clone(), ..Config::default() };
        std::fs::write(&file, "[queue]\nlifetime = 60\n").unwrap();
        assert_eq!(read(&running).unwrap().queue.lifetime.0, 60);
        std::fs::write(&file, "[queue]\nlifetime = \"soon\"\n").unwrap();
        assert!(read(&running).is_none());
        std::fs::remove_file(&file).unwrap();
        assert!(read(&running).is_none());
    }
}
