//! How the server is started: systemd units, inetd lines, or words.

use super::accounts::run as system;
use super::plan::Plan;
use super::{Options, Start};
use crate::table::say;
use penny_base::{Config, Failure};
use std::path::Path;

macro_rules! unit {
    ($name:literal) => {
        ($name, include_str!(concat!("../../../etc/systemd/", $name)))
    };
}

const UNITS: [(&str, &str); 6] = [
    unit!("pennypost.target"),
    unit!("pennypost-spawn.service"),
    unit!("pennypost-lookup.service"),
    unit!("pennypost-enqueue.service"),
    unit!("pennypost-qrun.service"),
    unit!("pennypost-listen.service"),
];

const SOCKETS: [(&str, &str); 16] = [
    unit!("pennypost-smtp.socket"),
    unit!("pennypost-smtp@.service"),
    unit!("pennypost-submission.socket"),
    unit!("pennypost-submission@.service"),
    unit!("pennypost-submissions.socket"),
    unit!("pennypost-submissions@.service"),
    unit!("pennypost-imap.socket"),
    unit!("pennypost-imap@.service"),
    unit!("pennypost-imaps.socket"),
    unit!("pennypost-imaps@.service"),
    unit!("pennypost-pop3.socket"),
    unit!("pennypost-pop3@.service"),
    unit!("pennypost-pop3s.socket"),
    unit!("pennypost-pop3s@.service"),
    unit!("pennypost-sieve.socket"),
    unit!("pennypost-sieve@.service"),
];

const INETD: &str = include_str!("../../../etc/inetd/inetd.conf");
const LIBEXEC: &str = "/usr/libexec/pennypost";

/// Does it.
pub fn run(plan: &mut Plan, config: &Config, options: &Options) -> Result<(), Failure> {
    let booted = Path::new("/run/systemd/system").is_dir();
    match options.start {
        Start::Auto if booted && options.root.is_none() => systemd(plan, config, &[], true),
        Start::Systemd => systemd(plan, config, &[], booted),
        Start::SystemdSockets => systemd(plan, config, &SOCKETS, booted),
        Start::Inetd => inetd(plan, config, options),
        Start::Auto | Start::None => words(config),
    }
}

fn place(config: &Config, text: &str) -> String {
    text.replace(LIBEXEC, &config.paths.libexec.to_string_lossy())
}

fn systemd(plan: &mut Plan, config: &Config, sockets: &[(&str, &str)], booted: bool) -> Result<(), Failure> {
    let mut new = false;
    for (name, text) in UNITS.iter().chain(sockets) {
        let packaged =
            ["/lib/systemd/system", "/usr/lib/systemd/system"].iter().any(|d| Path::new(d).join(name).exists());
        if packaged {
            continue;
        }
        let path = Path::new("/etc/systemd/system").join(name);
        new |= !path.exists();
        if !path.exists() {
            plan.file(&path, &place(config, text), 0o644)?;
        }
    }
    let mut wanted = vec!["pennypost.target".to_string()];
    if sockets.is_empty() {
        wanted.push("pennypost-listen.service".into());
    } else {
        wanted.extend(sockets.iter().filter(|s| s.0.ends_with(".socket")).map(|s| s.0.to_string()));
    }
    if !booted {
        let names = wanted.join(" ");
        return say(&format!("systemd does not run here; when it does: systemctl enable --now {names}")).map(drop);
    }
    let mut args = vec!["enable", "--now"];
    args.extend(wanted.iter().map(String::as_str));
    let enabled = wanted.iter().all(|w| system("systemctl", &["--quiet", "is-active", w]).is_ok());
    plan.step(&format!("systemctl {}", args.join(" ")), new || !enabled, || {
        system("systemctl", &["daemon-reload"])?;
        system("systemctl", &args)
    })
}

/// Appends the lines that are missing.
fn inetd(plan: &mut Plan, config: &Config, options: &Options) -> Result<(), Failure> {
    let file = &options.inetd_conf;
    let mut text = std::fs::read_to_string(file).unwrap_or_default();
    let key = |line: &str| line.split_whitespace().next().unwrap_or("").to_string();
    for line in INETD.lines().filter(|l| !l.starts_with('#')) {
        if text.lines().any(|l| !l.starts_with('#') && key(l) == key(line) && l.contains("tlsd")) {
            continue;
        }
        if text.lines().any(|l| !l.starts_with('#') && key(l) == key(line)) {
            say(&format!("{}: {} is taken by another line; left alone", file.display(), key(line)))?;
            continue;
        }
        text.push_str(&place(config, line));
        text.push('\n');
    }
    plan.file(file, &text, 0o644)?;
    words(config)
}

fn words(config: &Config) -> Result<(), Failure> {
    let libexec = config.paths.libexec.display();
    let ids = |role: &str, groups: &str| {
        if !config.separate_ids() {
            return String::new();
        }
        let name = role.split(':').next().unwrap_or("");
        // a role given as uid:gid keeps that group
        let group = role.split(':').nth(1).unwrap_or(name);
        format!("setpriv --reuid {name} --regid {group} {groups} ")
    };
    let c = format!("-c {}", config.file.display());
    let i = &config.ids;
    let auth = i.auth.rsplit(':').next().unwrap_or("");
    let lookup = i.lookup.split(':').next().unwrap_or("");
    say("start these under your supervisor (runit, s6, daemontools), in this order:")?;
    say(&format!("  {libexec}/spawn {c}"))?;
    say(&format!("  {}{libexec}/lookup {c} --serve", ids(&i.lookup, &format!("--groups {lookup},{auth}"))))?;
    say(&format!("  {}{libexec}/enqueue {c} --serve", ids(&i.queue, "--clear-groups")))?;
    say(&format!("  {}{libexec}/qrun {c}", ids(&i.queue, "--clear-groups")))?;
    say(&format!("  {libexec}/listen {c}      (not with inetd, tcpserver or systemd sockets)")).map(drop)
}
