//! The configuration file of a new server.

use super::Options;
use super::plan::Plan;
use penny_base::config::value::quote;
use penny_base::{Config, Failure, Kind};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Where the file and the programs are.
pub struct Place {
    file: PathBuf,
    /// The file there is.
    old: Option<Config>,
    libexec: PathBuf,
}

impl Place {
    /// Finds them: `file` as the command line says.
    pub fn find(file: Option<&Path>, options: &Options) -> Result<Place, Failure> {
        let file = match (options.below(), file) {
            (_, Some(file)) => file.to_path_buf(),
            (Some(root), None) => root.join("etc/pennypost.toml"),
            (None, None) => Config::file(None),
        };
        let old = if file.exists() { Some(Config::load_source(&file)?) } else { None };
        let libexec = libexec(old.as_ref());
        Ok(Place { file, old, libexec })
    }

    /// The filters whose programs are installed, in the order they run: Debian has them in a package of their own.
    pub fn filters(&self) -> Vec<String> {
        let installed = |name: &&str| self.libexec.join(name).is_file();
        KNOWN.iter().filter(|f| installed(f)).map(|f| (*f).to_string()).collect()
    }

    /// The filter, when there is such a one here.
    pub fn filter(&self, name: &str) -> Result<(), Failure> {
        let there = self.filters();
        let text = match KNOWN.contains(&name) {
            _ if there.iter().any(|f| f == name) => return Ok(()),
            true => format!("filter {name} is not installed: no {}", self.libexec.join(name).display()),
            false => format!("no filter {name}: {}", there.join(", ")),
        };
        Err(Failure::permanent(Kind::Usage, "5.3.5", text))
    }
}

/// What the file shall say.
pub struct Wanted {
    file: PathBuf,
    text: String,
    /// The file there is, when it is the admin's own.
    own: Option<Config>,
}

impl Wanted {
    /// Decides it.
    pub fn new(place: Place, options: &Options) -> Result<Wanted, Failure> {
        options.filters.iter().try_for_each(|f| place.filter(f))?;
        let text = text(options, options.below().as_deref(), &place.libexec)?;
        let own = place.old.filter(|c| !c.top.hostname.is_empty() || !c.listen.is_empty());
        Ok(Wanted { file: place.file, text, own })
    }
}

/// Writes it, unless there is one of the admin's own.
pub fn write(plan: &mut Plan, wanted: &Wanted) -> Result<Config, Failure> {
    if let Some(own) = &wanted.own {
        plan.step(&format!("{} (host {})", wanted.file.display(), own.hostname()), false, || Ok(()))?;
        return Ok(own.clone());
    }
    if !plan.dry && wanted.file.exists() {
        let beside = wanted.file.with_extension("toml.shipped");
        std::fs::rename(&wanted.file, &beside).map_err(|e| Failure::io(beside.display(), &e))?;
    }
    plan.file(&wanted.file, &wanted.text, 0o644)?;
    Ok(Config::parse(&wanted.file, &wanted.text)?)
}

/// The filters setup knows, in the order they run.
const KNOWN: [&str; 4] = ["mailauth", "virusscan", "spamcheck", "dkimsign"];

/// Where the programs are: as an existing file says, else where this one was installed with them.
fn libexec(old: Option<&Config>) -> PathBuf {
    let default = Config::default().paths.libexec;
    let beside = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf));
    let candidates = [
        old.map(|c| c.paths.libexec.clone()),
        beside.clone(),
        beside.and_then(|b| Some(b.parent()?.join("libexec/pennypost"))),
    ];
    candidates.into_iter().flatten().find(|c| c.join("smtpd").is_file()).unwrap_or(default)
}

/// The name of this host.
fn hostname(options: &Options) -> String {
    options.hostname.clone().unwrap_or_else(|| usual_hostname(&options.domain))
}

/// The host's own name where that is within the domain, else `mx.` before it.
pub fn usual_hostname(domain: &str) -> String {
    let own = Config::default().hostname();
    let within = own.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    if within { own } else { format!("mx.{domain}") }
}

/// The login that reads mail for the postmaster.
pub fn postmaster(options: &Options) -> String {
    let login = options.postmaster.as_deref().unwrap_or("postmaster");
    if login.contains('@') { login.to_string() } else { format!("{login}@{}", options.domain) }
}

fn text(options: &Options, root: Option<&Path>, libexec: &Path) -> Result<String, Failure> {
    let mut out = format!(
        "# Made by `pennypost setup {}`. Every other key has its default: pennypost.toml(5), `pennypost check -s`.\n\
         hostname = {}\n",
        options.domain,
        quote(&hostname(options))
    );
    if let Some(first) = options.ids.filter(|_| penny_sys::ids::is_root()) {
        ids(&mut out, first);
    }
    paths(&mut out, root, libexec);
    let _ = write!(out, "\n[queue]\npostmaster = {}\n", quote(&postmaster(options)));
    if root.is_some() || options.certificate.is_some() {
        let place = |given: &Option<PathBuf>, name: &str| {
            let own =
                root.unwrap_or(Path::new("/etc/pennypost")).join(if root.is_some() { "etc" } else { "" }).join(name);
            let given = given.as_ref().map(|g| std::path::absolute(g).unwrap_or_else(|_| g.clone()));
            quote(&given.unwrap_or(own).to_string_lossy())
        };
        let names =
            root.map(|r| format!("names = {}\n", quote(&r.join("etc/tls.d").to_string_lossy()))).unwrap_or_default();
        let (chain, key) = (place(&options.certificate, "tls.pem"), place(&options.key, "tls.key"));
        let _ = write!(out, "\n[tls]\ncertificate = {chain}\nkey = {key}\n{names}");
    }
    dkimsign(&mut out, options, root);
    if !options.ip.is_empty() {
        let all: Vec<String> = options.ip.iter().map(|ip| quote(&ip.to_string())).collect();
        let _ = write!(out, "\n[check]\naddresses = [{}]\n", all.join(", "));
    }
    services(&mut out, options)?;
    filters(&mut out, options, root);
    Ok(out)
}

fn dkimsign(out: &mut String, options: &Options, root: Option<&Path>) {
    let table = root.map(|r| format!("table = {}\n", quote(&r.join("etc/dkim").to_string_lossy())));
    // a seal states what mailauth found
    let seals = ["mailauth", "dkimsign"].iter().all(|f| options.filters.iter().any(|o| o == f));
    let seal = seals.then(|| format!("arc_domain = {}\n", quote(&options.domain)));
    let keys: String = [table, seal].into_iter().flatten().collect();
    if !keys.is_empty() {
        let _ = write!(out, "\n[dkimsign]\n{keys}");
    }
}

/// lookup is in the group of checkauth, which owns the users table.
fn ids(out: &mut String, first: u32) {
    let roles = ["tls", "queue", "net", "mail", "out", "filter", "sign", "auth"];
    let _ = write!(out, "\n[ids]\n");
    for (role, id) in roles.iter().zip(first..) {
        let _ = writeln!(out, "{role} = \"{id}\"");
    }
    let _ = writeln!(out, "lookup = \"{}:{}\"", first.saturating_add(8), first.saturating_add(7));
}

fn paths(out: &mut String, root: Option<&Path>, libexec: &Path) {
    let show = |p: PathBuf| quote(&p.to_string_lossy());
    let default = libexec == Config::default().paths.libexec;
    if default && root.is_none() {
        return;
    }
    let _ = write!(out, "\n[paths]\n");
    if !default {
        let _ = writeln!(out, "libexec = {}", show(libexec.into()));
    }
    if let Some(root) = root {
        for (key, place) in [("run", "run"), ("queue", "spool/queue"), ("state", "state"), ("tables", "etc")] {
            let _ = writeln!(out, "{key} = {}", show(root.join(place)));
        }
        let _ = write!(out, "\n[mail]\nhome = {}\n", show(root.join("mail/%d/%u")));
    }
}

/// Name, port, program, role, implicit TLS.
const SERVICES: [(&str, u16, &str, &str, bool); 7] = [
    ("smtp", 25, "smtpd", "mx", false),
    ("submissions", 465, "smtpd", "submission", true),
    ("submission", 587, "smtpd", "submission", false),
    ("imaps", 993, "imapd", "", true),
    ("imap", 143, "imapd", "", false),
    ("pop3s", 995, "pop3d", "", true),
    ("sieve", 4190, "sieved", "", false),
];

fn services(out: &mut String, options: &Options) -> Result<(), Failure> {
    for (name, port, program, role, implicit) in SERVICES {
        let port = port.checked_add(options.port_offset).ok_or_else(|| Failure::usage("--port-offset is too large"))?;
        let args = if role.is_empty() { String::new() } else { format!("args = [\"-r\", \"{role}\"]\n") };
        let tls = if implicit { "tls = \"implicit\"\n" } else { "" };
        let address = quote(&format!("{}:{port}", crate::import::bracketed(&options.listen)));
        let _ =
            write!(out, "\n[[listen]]\nname = \"{name}\"\naddress = {address}\nprogram = \"{program}\"\n{args}{tls}");
    }
    Ok(())
}

fn filters(out: &mut String, options: &Options, root: Option<&Path>) {
    let state = root.map_or_else(|| Config::default().paths.state, |r| r.join("state"));
    let db = state.join("filter/spam.db");
    for name in options.filters.iter().map(String::as_str) {
        let (command, rest) = match name {
            "spamcheck" => (vec!["spamcheck".to_string(), "--db".into(), db.to_string_lossy().into_owned()], MX),
            "dkimsign" => (vec![name.to_string()], "services = [\"submission\", \"forward\", \"own\"]\nsign = true\n"),
            "mailauth" => (vec![name.to_string()], MX),
            _ => (vec![name.to_string()], ""),
        };
        let command = command.iter().map(|w| quote(w)).collect::<Vec<_>>().join(", ");
        let _ = write!(out, "\n[[filter]]\nname = \"{name}\"\ncommand = [{command}]\n{rest}");
    }
}

const MX: &str = "services = [\"mx\"]\n";
