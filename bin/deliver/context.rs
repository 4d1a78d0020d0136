//! One delivery: who, where, from whom; made once, before any file of the user is looked at.
//!
//! Invariants  1. the process is not root when this is made   2. users without a login shell are confined to their home
//! Trust       the environment and fd 3 come from qrun, smtpd or spawn; by hand everything comes from the caller, who has the same uid

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use penny_base::owner::variable;
use penny_base::services::{Lookup, delivery};
use penny_base::{Config, Failure, Kind, Owner};
use penny_queue::{Address, Envelope, Recipient};
use penny_sys::ids;

use crate::args::Options;
use crate::forward::Step;
use crate::mail::Mail;
use crate::sieve::event::Event;
use crate::watchdog;

/// Everything a rule may need to know.
pub struct Context {
    pub config: Config,
    pub envelope: Envelope,
    pub mail: Mail,
    pub owner: Owner,
    pub folder: Option<String>,
    pub plain: bool,
    /// Started by another mail system, a fetcher or a person.
    pub by_hand: bool,
    /// A script is to be run because of this, and nothing delivered.
    pub event: Option<Event>,
    /// The only instruction, from an alias of the administrator.
    pub instruction: Option<Step>,
    /// A job for several mailboxes: what is to be taken in turn as `owner` and only recipient.
    pub several: Vec<(Owner, Recipient)>,
}

impl Context {
    pub fn sender(&self) -> &str {
        self.envelope.sender.address.as_str()
    }

    /// The recipient as it stands in the envelope.
    pub fn recipient(&self) -> &str {
        self.envelope.recipients.first().map_or("", |r| r.address.as_str())
    }

    pub fn recipient_entry(&self) -> Option<&Recipient> {
        self.envelope.recipients.first()
    }

    /// Local part and domain of the recipient.
    pub fn parts(&self) -> (&str, &str) {
        self.recipient().rsplit_once('@').unwrap_or((self.recipient(), ""))
    }

    /// What follows the first separator of the local part; also given by $EXT.
    pub fn extension(&self) -> Option<String> {
        if let Some(given) = std::env::var("EXT").ok().filter(|e| !e.is_empty()) {
            return Some(given);
        }
        let (local, _) = self.parts();
        let at = local.char_indices().skip(1).find(|(_, c)| self.config.mail.separators.contains(*c));
        let (at, c) = at?;
        local.get(at + c.len_utf8()..).filter(|e| !e.is_empty()).map(str::to_owned)
    }

    pub fn id(&self) -> Option<&str> {
        self.envelope.id.as_ref().map(penny_queue::Line::as_str)
    }

    pub fn is_junk(&self) -> bool {
        self.envelope.junk.is_some()
    }
}

/// Reads message and envelope, finds the owner, gives up what is not needed.
pub fn prepare(options: Options) -> Result<Context, Failure> {
    let limit = options.limit.unwrap_or_else(|| options.config.queue.delivery_timeout.0.saturating_sub(10).max(5));
    watchdog::start(limit)?;
    let Papers { envelope, several } = if options.job { Papers::read()? } else { Papers::default() };
    let owner = owner(&options, several.first().map(|(first, _)| first))?;
    let maildir_tmp = owner.maildir.join("tmp");
    let is_file = options.job || options.event.is_some();
    let mail = if is_file { Mail::at_offset()? } else { Mail::from_stream(&maildir_tmp)? };
    let envelope = match envelope {
        Some(envelope) => envelope,
        None => hand_envelope(&options, &owner, &mail)?,
    };
    let context = Context {
        envelope,
        mail,
        owner,
        folder: options.folder,
        plain: options.plain,
        by_hand: !options.job,
        event: options.event,
        instruction: options.instruction,
        several,
        config: options.config,
    };
    confine(&context)?;
    Ok(context)
}

fn owner(options: &Options, first: Option<&Owner>) -> Result<Owner, Failure> {
    if options.job || options.event.is_some() {
        refuse_root()?;
        if options.instruction.is_some() {
            return Ok(alias_owner());
        }
        if let Some(first) = first {
            return Ok(first.clone());
        }
        return Owner::from_env(&options.config);
    }
    let name = match &options.user {
        Some(name) => name.clone(),
        None => {
            refuse_root()?;
            let account = ids::account_by_uid(ids::own_uid()).map_err(|e| Failure::io("user database", &e))?;
            account.map(|a| a.name).or_else(|| variable("USER")).ok_or_else(|| no_user("you"))?
        }
    };
    find(&options.config, &name)
}

fn refuse_root() -> Result<(), Failure> {
    if ids::is_root() {
        return Err(Failure::temporary("4.3.5", "deliver does not run as root"));
    }
    Ok(())
}

fn no_user(name: &str) -> Failure {
    Failure::permanent(Kind::NoUser, "5.1.1", format!("no such user: {name}"))
}

/// Nobody: an alias runs as the mail id, from the root directory.
fn alias_owner() -> Owner {
    let user = variable("RECIPIENT").unwrap_or_default();
    Owner { shell_ok: true, ..Owner::new(user, "/".into(), "/nonexistent".into()) }
}

/// By hand: lookup knows virtual users; without it the system's accounts count.
fn find(config: &Config, name: &str) -> Result<Owner, Failure> {
    if let Ok(mut lookup) = Lookup::connect(config, None)
        && let Some(user) = lookup.user(name)?
    {
        become_owner(user.id, &user.name)?;
        return Ok(user.into());
    }
    let account = ids::account(name).map_err(|e| Failure::io("user database", &e))?.ok_or_else(|| no_user(name))?;
    become_owner(account.id, name)?;
    let maildir = account.home.join(&config.mail.maildir);
    Ok(Owner { shell_ok: in_shells(&account.shell), ..Owner::new(account.name, account.home, maildir) })
}

/// Root becomes the owner for good; anyone else must be the owner.
fn become_owner(id: ids::Id, name: &str) -> Result<(), Failure> {
    if id.uid == 0 {
        return Err(Failure::temporary("4.3.5", "root's mail belongs to an alias: deliver never writes as uid 0"));
    }
    if ids::own_uid() == id.uid {
        return Ok(());
    }
    if !ids::is_root() {
        return Err(Failure::temporary("4.3.0", format!("only {name} (or root) can deliver to {name}")));
    }
    ids::become_user(id, &ids::groups_of(name, id.gid)).map_err(|e| Failure::io("become user", &e))
}

fn in_shells(shell: &Path) -> bool {
    let list = std::fs::read_to_string("/etc/shells").unwrap_or_default();
    list.lines().any(|line| Path::new(line.trim()) == shell)
}

/// What descriptor 3 says of a job.
#[derive(Default)]
struct Papers {
    envelope: Option<Envelope>,
    several: Vec<(Owner, Recipient)>,
}

impl Papers {
    /// An envelope with one recipient, or mailboxes and an envelope with a recipient for each.
    fn read() -> Result<Papers, Failure> {
        use std::io::Read;
        let fail =
            |what: &str| Failure::temporary("4.3.0", "the delivery job has no readable envelope").with_detail(what);
        let fd = penny_sys::net::inherited(3).map_err(|e| fail(&e.to_string()))?;
        let mut block = Vec::new();
        let limit = penny_queue::envelope::BLOCK_MAX as u64;
        std::fs::File::from(fd).take(limit).read_to_end(&mut block).map_err(|e| fail(&e.to_string()))?;
        let (users, block) = delivery::take_mailboxes(&block).ok_or_else(|| fail("odd mailboxes"))?;
        let envelope = Envelope::parse(block).map_err(|e| fail(&format!("{e:?}")))?;
        if envelope.recipients.len() != users.len().max(1) {
            return Err(fail(&format!("{} recipients, {} mailboxes", envelope.recipients.len(), users.len())));
        }
        let several = users.into_iter().map(Owner::from).zip(envelope.recipients.iter().cloned()).collect();
        Ok(Papers { envelope: Some(envelope), several })
    }
}

fn hand_envelope(options: &Options, owner: &Owner, mail: &Mail) -> Result<Envelope, Failure> {
    let recipient = options.recipient.clone().or_else(|| variable("RECIPIENT")).unwrap_or_else(|| {
        let has_domain = owner.user.contains('@');
        if has_domain { owner.user.clone() } else { format!("{}@{}", owner.user, options.config.hostname()) }
    });
    let sender =
        options.sender.clone().or_else(|| variable("SENDER")).or_else(|| mail.stated_sender()).unwrap_or_default();
    let bare = |text: &str| text.trim_start_matches('<').trim_end_matches('>').to_owned();
    let recipient = Address::new(bare(&recipient)).filter(|a| !a.is_empty());
    let recipient = recipient.ok_or_else(|| Failure::usage("option -a: no address"))?;
    // "MAILER-DAEMON" is how From_ lines and other MTAs write the null sender
    let sender = bare(&sender);
    let sender = if sender.eq_ignore_ascii_case("MAILER-DAEMON") { String::new() } else { sender };
    let mut envelope = Envelope { recipients: vec![Recipient::plain(recipient)], ..Envelope::default() };
    envelope.sender.address = Address::new(sender).unwrap_or_default();
    let now = penny_sys::time::now();
    envelope.arrival = (now.as_secs(), now.subsec_micros());
    envelope.size = mail.size();
    Ok(envelope)
}

/// pennypost-overview(7), rule 3: whoever may run no programs may also touch nothing outside the home but the administrator's scripts.
/// A job for several mailboxes runs no user's programs, so it needs no more than their homes whoever they are.
fn confine(context: &Context) -> Result<(), Failure> {
    let deliver = &context.config.deliver;
    let global = context.config.paths.tables.join("sieve");
    let warning = &context.config.mail.quota_warning;
    let paths = [&deliver.sieve_before, &deliver.sieve_after, &deliver.sieve_programs, &global, warning];
    let paths = paths.map(PathBuf::as_path);
    if context.several.is_empty() {
        return context.owner.confine(&context.config, &paths);
    }
    let others: Vec<Owner> = context.several.iter().map(|(owner, _)| owner.clone()).collect();
    context.owner.confine_with(&others, &context.config, &paths)
}

/// A duplicate of standard input, to read the message from.
pub fn standard_input() -> Result<std::fs::File, Failure> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| Failure::io("standard input", &e))?;
    Ok(fd.into())
}
