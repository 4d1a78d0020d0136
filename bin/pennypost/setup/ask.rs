//! Questions of `pennypost setup`: each with its default, a wrong answer is asked again, the end of input gives up.
//!
//! Invariants  1. nothing is asked unless standard input is a terminal and no domain was given   2. what a flag says is not
//!             asked, and as good as an answer   3. nothing is made before the last question

use super::config::{Place, usual_hostname};
use super::{Given, Options};
use penny_base::{Config, Failure};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The options with everything that was not given; nothing when the admin gave up.
pub fn complete(given: &Given, place: &Place) -> Result<Option<Options>, Failure> {
    let mut options = flags(given.options.clone())?;
    let filters = given.filters.clone().unwrap_or_else(|| place.filters());
    options.filters = filters.into_iter().filter(|f| !f.is_empty() && f != "none").collect();
    match &given.domain {
        Some(domain) => options.domain = crate::domain::name(domain)?,
        None if std::io::stdin().is_terminal() => return interview(given, place, options),
        None => return Err(Failure::usage("the domain of the mail addresses is missing: pennypost setup DOMAIN")),
    }
    Ok(Some(options))
}

/// What the flags say, once it is known to be right: a configuration that was written with a mistake would be kept.
fn flags(mut options: Options) -> Result<Options, Failure> {
    options.hostname = options.hostname.as_deref().map(crate::domain::name).transpose()?;
    options.postmaster = options.postmaster.as_deref().map(login).transpose()?;
    options.smarthost = options.smarthost.as_deref().map(smarthost).transpose()?.flatten();
    if let (Some(chain), Some(key)) = (&options.certificate, &options.key) {
        super::keys::pair(chain, key)?;
    }
    Ok(options)
}

fn interview(given: &Given, place: &Place, mut options: Options) -> Result<Option<Options>, Failure> {
    tell(
        "An empty answer takes what stands in brackets; Ctrl-D gives up. Nothing is made before the last question.\n",
    )?;
    let own = Config::default().hostname();
    let domain = own.split_once('.').map_or("", |(_, rest)| rest).to_string();
    let domain = ask("Domain of the mail addresses", &domain, crate::domain::name)?;
    let Some(domain) = domain else { return Ok(None) };
    options.domain = domain;
    if options.hostname.is_none() {
        let usual = usual_hostname(&options.domain);
        let Some(host) = ask("Name of this host in the DNS", &usual, crate::domain::name)? else { return Ok(None) };
        options.hostname = Some(host);
    }
    if options.postmaster.is_none() {
        let Some(login) = ask("First user, who reads mail for the postmaster", "postmaster", login)? else {
            return Ok(None);
        };
        options.postmaster = Some(login);
    }
    tell("Its password; without one it is made and shown at the end.\n")?;
    options.password = loop {
        match crate::user::ask(&super::config::postmaster(&options)) {
            Ok(password) => break password,
            Err(e) => tell(&format!("  {}\n", e.text))?,
        }
    };
    if options.certificate.is_none() && !certificate(&mut options)? {
        return Ok(None);
    }
    if given.filters.is_none() {
        let usual = Some(place.filters().join(",")).filter(|f| !f.is_empty()).unwrap_or_else(|| "none".into());
        let Some(filters) = ask("Filters (or none)", &usual, |text| filters(place, text))? else { return Ok(None) };
        options.filters = filters;
    }
    if given.options.smarthost.is_none() {
        let Some(host) = ask("Host all mail to others goes through, HOST:PORT (or none)", "none", smarthost)? else {
            return Ok(None);
        };
        options.smarthost = host;
    }
    let Some(go) = ask(&format!("Make the server of {} now", options.domain), "yes", yes)? else { return Ok(None) };
    Ok(go.then_some(options))
}

/// Certificate and key; false when the admin gave up.
fn certificate(options: &mut Options) -> Result<bool, Failure> {
    let live = Path::new("/etc/letsencrypt/live").join(options.hostname.as_deref().unwrap_or(""));
    let there = live.join("fullchain.pem").exists();
    let (chain, key) = if there { (live.join("fullchain.pem"), live.join("privkey.pem")) } else { Default::default() };
    let shown = if there { chain.display().to_string() } else { "self-signed for now".into() };
    let chosen = ask("Certificate chain, a PEM file", &shown, |text| match text {
        "self-signed for now" => Ok(None),
        path => file(path).map(Some),
    })?;
    let Some(chosen) = chosen else { return Ok(false) };
    if let Some(chain) = chosen {
        let Some(key) = ask("Its private key, a PEM file", &key.display().to_string(), file)? else { return Ok(false) };
        (options.certificate, options.key) = (Some(chain), Some(key));
    }
    Ok(true)
}

/// Asks until the answer is one; nothing at the end of input.
fn ask<T>(question: &str, default: &str, read: impl Fn(&str) -> Result<T, Failure>) -> Result<Option<T>, Failure> {
    loop {
        tell(&format!("{question} [{default}]: "))?;
        let mut line = String::new();
        let got = std::io::stdin().lock().read_line(&mut line).map_err(|e| Failure::io("terminal", &e))?;
        if got == 0 {
            tell("\nnothing was made\n")?;
            return Ok(None);
        }
        let answer = Some(line.trim()).filter(|l| !l.is_empty()).unwrap_or(default);
        match read(answer) {
            Ok(value) => return Ok(Some(value)),
            Err(e) => tell(&format!("  {}\n", e.text))?,
        }
    }
}

fn tell(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stderr();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::io("terminal", &e))
}

fn login(text: &str) -> Result<String, Failure> {
    crate::user::check_login(text).map(|()| text.to_string())
}

fn file(text: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(text);
    if path.is_file() { Ok(path) } else { Err(Failure::usage(format!("there is no file {text}"))) }
}

fn filters(place: &Place, text: &str) -> Result<Vec<String>, Failure> {
    let all: Vec<String> = crate::import::words(text).filter(|w| *w != "none").map(str::to_string).collect();
    all.iter().try_for_each(|f| place.filter(f)).map(|()| all)
}

fn smarthost(text: &str) -> Result<Option<String>, Failure> {
    let port = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    match text {
        "none" => Ok(None),
        _ if port => Ok(Some(text.to_string())),
        _ => Err(Failure::usage("HOST:PORT, for instance [smtp.example.net]:587")),
    }
}

fn yes(text: &str) -> Result<bool, Failure> {
    match text.to_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err(Failure::usage("yes or no")),
    }
}
