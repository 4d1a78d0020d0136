//! Options and commands, and becoming the owner of what they name.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use penny_maildir::{DiskEncoding, FolderName, NameStyle, Store, StoreOptions};

/// A mistake on the command line that clap cannot see.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Make, look at, check, fill, empty and take over Maildirs.
#[derive(Debug, Parser)]
#[command(name = "maildirctl", version)]
pub struct Args {
    /// One JSON object a line instead of text
    #[arg(short = 'J', long, global = true)]
    pub json: bool,
    /// Say what would be done and change no mail
    #[arg(short = 'n', long, global = true)]
    pub dry_run: bool,
    /// Folder directories are named in UTF-8 instead of modified UTF-7
    #[arg(long, global = true)]
    pub utf8: bool,
    /// No progress on the terminal
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a Maildir, and folders in it
    Make {
        /// The Maildir
        dir: PathBuf,
        /// Folders, levels separated by '/'
        folders: Vec<String>,
    },
    /// Show folders with counts
    List {
        /// The Maildir
        dir: PathBuf,
    },
    /// Look for what is wrong, and mend it on request
    Check {
        /// The Maildir
        dir: PathBuf,
        /// Only these folders
        folders: Vec<String>,
        /// Mend what can be mended
        #[arg(long)]
        repair: bool,
        /// Read every message to compare sizes
        #[arg(long)]
        read: bool,
    },
    /// Show, set or recount the quota
    Quota {
        /// The Maildir
        dir: PathBuf,
        /// New limits, for instance 104857600S,1000C
        #[arg(long)]
        limit: Option<String>,
        /// Count all files again
        #[arg(long)]
        recount: bool,
    },
    /// Remove old messages
    Expire(Expire),
    /// Remove abandoned files in tmp/ and remains of deleted folders
    Purge {
        /// The Maildir
        dir: PathBuf,
    },
    /// Bring in messages from mbox, Maildir, MH or another IMAP server
    Import(Import),
    /// Write messages out as mbox, Maildir or MH
    Export(Export),
    /// Take over a tree from Dovecot or Courier, in place
    TakeOver {
        /// The Maildir
        dir: PathBuf,
        /// Where it comes from
        #[arg(long, value_enum, default_value = "auto")]
        from: Server,
    },
    /// Prepare a tree for going back to another server
    GiveBack {
        /// The Maildir
        dir: PathBuf,
        /// Where it goes to
        #[arg(long, value_enum)]
        to: Server,
    },
    /// After a restore from back-up: make sure that no UID is used twice
    RestoreMark {
        /// The Maildir
        dir: PathBuf,
        /// Only these folders
        folders: Vec<String>,
        /// Raise UIDNEXT by this many instead of giving a new UIDVALIDITY
        #[arg(long)]
        gap: Option<u32>,
    },
}

/// Options of expire.
#[derive(Debug, ClapArgs)]
pub struct Expire {
    /// The Maildir
    pub dir: PathBuf,
    /// Folders (all that are named; * is every folder; none means nothing)
    #[arg(short, long = "folder", required = true)]
    pub folders: Vec<String>,
    /// Not these folders
    #[arg(long = "except", value_name = "FOLDER")]
    pub except: Vec<String>,
    /// Messages that came into the folder more than this many days ago
    #[arg(short, long, value_name = "DAYS")]
    pub older: u32,
    /// Only read messages
    #[arg(long)]
    pub seen: bool,
    /// Flagged messages too
    #[arg(long)]
    pub flagged: bool,
}

/// Options of import.
#[derive(Debug, ClapArgs)]
pub struct Import {
    /// The Maildir
    pub dir: PathBuf,
    /// An mbox file, an MH folder, a Maildir with its folders, - for an mbox on standard input, or imaps://user@host/
    pub from: PathBuf,
    /// Kind of the source
    #[arg(long, value_enum, default_value = "auto")]
    pub format: Format,
    /// The folder to fill (Maildir trees: the folder above all)
    #[arg(short, long)]
    pub folder: Option<String>,
    /// Note here what is done, and skip what is noted
    #[arg(long, value_name = "FILE")]
    pub resume: Option<PathBuf>,
    /// IMAP: only these folders of the account
    #[arg(long = "only", value_name = "FOLDER")]
    pub only: Vec<String>,
    /// IMAP: not these folders
    #[arg(long = "except", value_name = "FOLDER")]
    pub except: Vec<String>,
    /// IMAP: the password (or token) is the first line of this file, not of standard input
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// IMAP: the password is an access token (OAUTHBEARER or XOAUTH2)
    #[arg(long)]
    pub oauth2: bool,
    /// IMAP: trust these certificates instead of the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// IMAP: no TLS (imap://)
    #[arg(long)]
    pub plaintext: bool,
    /// IMAP: speak to this shell command instead of a port
    #[arg(long, value_name = "COMMAND")]
    pub tunnel: Option<String>,
}

/// Options of export.
#[derive(Debug, ClapArgs)]
pub struct Export {
    /// The Maildir
    pub dir: PathBuf,
    /// Where to: for mbox with one folder a file (- for standard output), else a directory
    pub to: PathBuf,
    /// Kind of the target
    #[arg(long, value_enum, default_value = "mbox")]
    pub format: Format,
    /// Only these folders
    #[arg(short, long = "folder")]
    pub folders: Vec<String>,
}

/// Kinds of mail stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Found out
    Auto,
    /// One file (mboxrd is written, all kinds are read)
    Mbox,
    /// Maildir++
    Maildir,
    /// MH folder
    Mh,
}

/// Other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Server {
    /// Found out
    Auto,
    /// Dovecot
    Dovecot,
    /// Courier
    Courier,
}

impl Args {
    fn dir(&self) -> &Path {
        match &self.command {
            Command::Make { dir, .. }
            | Command::List { dir }
            | Command::Check { dir, .. }
            | Command::Quota { dir, .. }
            | Command::Purge { dir }
            | Command::TakeOver { dir, .. }
            | Command::GiveBack { dir, .. }
            | Command::RestoreMark { dir, .. } => dir,
            Command::Expire(e) => &e.dir,
            Command::Import(i) => &i.dir,
            Command::Export(e) => &e.dir,
        }
    }

    /// Root works as the owner of the Maildir (or of the directory it will be made in): no file of root's appears in
    /// a user's mail, and no link the user laid is followed with root's power.
    pub fn become_owner(&self) -> anyhow::Result<()> {
        if !penny_sys::ids::is_root() {
            return Ok(());
        }
        let mut at = self.dir();
        let meta = loop {
            match std::fs::symlink_metadata(at) {
                Ok(meta) => break meta,
                Err(_) => at = penny_sys::files::dir_of(at),
            }
        };
        if meta.uid() == 0 {
            return Ok(());
        }
        let id = penny_sys::ids::Id { uid: meta.uid(), gid: meta.gid() };
        penny_sys::ids::become_user(id, &[]).context("cannot become the owner of the Maildir")
    }

    /// How folder directories are named.
    pub fn encoding(&self) -> DiskEncoding {
        if self.utf8 { DiskEncoding::Utf8 } else { DiskEncoding::Mutf7 }
    }

    /// The store at a directory.
    pub fn store(&self, dir: &Path) -> anyhow::Result<Store> {
        Ok(Store::open(dir, StoreOptions { encoding: self.encoding(), ..StoreOptions::default() })?)
    }

    /// The named folders, or all.
    pub fn folders(&self, store: &Store, named: &[String]) -> anyhow::Result<Vec<FolderName>> {
        if named.is_empty() {
            return Ok(store.list()?.into_iter().filter(|f| f.selectable).map(|f| f.name).collect());
        }
        named.iter().map(|n| folder(n)).collect()
    }
}

/// A folder name from the command line.
pub fn folder(name: &str) -> anyhow::Result<FolderName> {
    Ok(FolderName::from_utf8(name, &NameStyle::default())?)
}
