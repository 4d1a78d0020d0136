//! Options. Parsed by hand: this program starts once a message, and an option parser costs more than the verdict.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// What to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Judge.
    #[default]
    Classify,
    /// Learn; true = spam.
    Learn(bool),
    /// Learn whom the user writes to.
    LearnSent,
    /// Learn two heaps of mail mixed.
    Train,
    /// Judge and learn a labelled list.
    Replay,
    /// Show the table, and measure on labelled mail.
    Stats,
    /// Speak the protocol of spamd on stdin and stdout.
    Spamd,
    /// Show usage.
    Help,
    /// Show the version.
    Version,
}

/// The command line.
#[derive(Debug, Default, Clone)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Configuration file.
    pub config: Option<PathBuf>,
    /// Clients of --spamd may teach.
    pub allow_tell: bool,
    /// Whose table, when no environment says it.
    pub user: Option<String>,
    /// The table, if named.
    pub db: Option<PathBuf>,
    /// Folder of per-user tables and the site's.
    pub tables: Option<PathBuf>,
    /// File names on stdin.
    pub bulk: bool,
    /// JSON lines.
    pub json: bool,
    /// Pass the message through.
    pub pass: bool,
    /// Say why.
    pub explain: bool,
    /// Leave the rules out.
    pub no_rules: bool,
    /// Leave the learned part out.
    pub no_table: bool,
    /// The administrator's rules.
    pub rules: Option<PathBuf>,
    /// Cuts.
    pub spam_cut: Option<f64>,
    /// Cuts.
    pub ham_cut: Option<f64>,
    /// Our own names in Authentication-Results.
    pub authserv_ids: Vec<String>,
    /// Labelled mail for --train and --stats.
    pub ham: Vec<PathBuf>,
    /// Labelled mail for --train and --stats.
    pub spam: Vec<PathBuf>,
    /// Where to draw the ROC curve.
    pub svg: Option<PathBuf>,
    /// Files and folders.
    pub paths: Vec<PathBuf>,
}

/// Usage, one line an option; scripts/check-man compares it with the page.
pub const USAGE: &str = "\
usage: spamcheck [options] [file ...]          judge stdin or files
       spamcheck -s|-n [options] [path ...]    learn spam or ham: stdin, files, mboxes, Maildirs
  -c, --config FILE    read [spamcheck] of this configuration
  --db FILE            the table (default: ~/.spamcheck/table, else the site's)
  --tables DIR         per-user tables DIR/users/ADDRESS and the site's DIR/site
  -s, --spam           learn as spam
  -n, --ham            learn as ham
  --train              learn --in-ham and --in-spam, mixed
  --sent               learn whom the user writes to, from sent mail
  -b, --bulk           read file names from stdin
  -p, --pass           copy the message to stdout with X-Spamcheck: on top
  --json               one JSON line a message
  -v, --explain        say why
  --replay             read `ham PATH` or `spam PATH`: judge, print, then learn
  --stats              show the table; with --in-ham and --in-spam measure it
  --in-ham PATH        ham for --train and --stats
  --in-spam PATH       spam for --train and --stats
  --svg FILE           draw the ROC curve of --stats
  --rules FILE         the site's own rules
  --no-rules           leave the rules out
  --no-table           leave the learned part out
  --spam-cut P         scores from P on are spam
  --ham-cut P          scores up to P are ham
  --spamd              serve one connection of spamc on stdin and stdout
  --allow-tell         clients of --spamd may teach
  --authserv-id NAME   believe Authentication-Results of NAME
  -h, --help           this text
  -V, --version        the version
exit status: 0 spam, 1 ham, 2 unsure, 3 error
";

/// Parses the command line; the error is one line for the user.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Options, String> {
    let mut o = Options::default();
    let mut args = args.peekable();
    let mut only_paths = false;
    while let Some(arg) = args.next() {
        let text = arg.to_str().unwrap_or("");
        if only_paths || !text.starts_with('-') || text == "-" {
            o.paths.push(arg.into());
        } else if text == "--" {
            only_paths = true;
        } else if let Some((name, value)) = text.split_once('=').filter(|_| text.starts_with("--")) {
            valued(&mut o, name, value.as_ref())?;
        } else if text.starts_with("--") {
            long(&mut o, text, &mut args)?;
        } else if let Some(value) = text.strip_prefix("-c") {
            let value = Some(OsString::from(value)).filter(|v| !v.is_empty()).or_else(|| args.next());
            valued(&mut o, "--config", &value.ok_or("-c wants a value")?)?;
        } else {
            text.chars().skip(1).try_for_each(|c| short(&mut o, c))?;
        }
    }
    Ok(o)
}

fn short(o: &mut Options, c: char) -> Result<(), String> {
    let name = match c {
        's' => "--spam",
        'n' => "--ham",
        'b' => "--bulk",
        'p' => "--pass",
        'v' => "--explain",
        'h' => "--help",
        'V' => "--version",
        _ => return Err(format!("unknown option -{c}; spamcheck --help shows them")),
    };
    flag(o, name).map(|_| ())
}

fn flag(o: &mut Options, name: &str) -> Result<bool, String> {
    match name {
        "--spam" => act(o, Action::Learn(true))?,
        "--ham" => act(o, Action::Learn(false))?,
        "--sent" => act(o, Action::LearnSent)?,
        "--train" => act(o, Action::Train)?,
        "--replay" => act(o, Action::Replay)?,
        "--stats" => act(o, Action::Stats)?,
        "--help" => o.action = Action::Help,
        "--version" => o.action = Action::Version,
        "--spamd" => act(o, Action::Spamd)?,
        "--allow-tell" => o.allow_tell = true,
        "--bulk" => o.bulk = true,
        "--pass" => o.pass = true,
        "--json" => o.json = true,
        "--explain" => o.explain = true,
        "--no-rules" => o.no_rules = true,
        "--no-table" => o.no_table = true,
        _ => return Ok(false),
    }
    Ok(true)
}

fn act(o: &mut Options, action: Action) -> Result<(), String> {
    if o.action != Action::Classify && o.action != action {
        return Err("only one of --spam, --ham, --train, --sent, --replay, --stats and --spamd".into());
    }
    o.action = action;
    Ok(())
}

fn long(o: &mut Options, name: &str, args: &mut impl Iterator<Item = OsString>) -> Result<(), String> {
    if flag(o, name)? {
        return Ok(());
    }
    match known(name).then(|| args.next()) {
        Some(Some(value)) => valued(o, name, &value),
        Some(None) => Err(format!("{name} wants a value")),
        None => Err(format!("unknown option {name}; spamcheck --help shows them")),
    }
}

fn known(name: &str) -> bool {
    const VALUED: [&str; 10] = [
        "--config",
        "--db",
        "--tables",
        "--rules",
        "--spam-cut",
        "--ham-cut",
        "--authserv-id",
        "--in-ham",
        "--in-spam",
        "--svg",
    ];
    VALUED.contains(&name)
}

fn valued(o: &mut Options, name: &str, value: &OsStr) -> Result<(), String> {
    let path = || PathBuf::from(value);
    match name {
        "--config" => o.config = Some(path()),
        "--db" => o.db = Some(path()),
        "--tables" => o.tables = Some(path()),
        "--rules" => o.rules = Some(path()),
        "--svg" => o.svg = Some(path()),
        "--in-ham" => o.ham.push(path()),
        "--in-spam" => o.spam.push(path()),
        "--spam-cut" => o.spam_cut = Some(chance(name, value)?),
        "--ham-cut" => o.ham_cut = Some(chance(name, value)?),
        "--authserv-id" => o.authserv_ids.push(value.to_string_lossy().into_owned()),
        _ => return Err(format!("unknown option {name}; spamcheck --help shows them")),
    }
    Ok(())
}

fn chance(name: &str, value: &OsStr) -> Result<f64, String> {
    let number = value.to_str().and_then(|v| v.parse::<f64>().ok());
    number.filter(|p| (0.0..=1.0).contains(p)).ok_or_else(|| format!("{name} wants a number from 0 to 1"))
}
