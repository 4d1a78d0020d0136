//! Sending one message: envelope, header, body, commit.

use crate::args::Args;
use crate::header::{Additions, operand, recipients, without_bcc};
use crate::input::{Lines, header};
use penny_addr::{Charset, MailParams, RcptParams};
use penny_base::{Config, Failure, Kind, Outcome};
use penny_queue::envelope::{Address, Line, Param};
use penny_queue::{Enqueue, Envelope, Recipient, Sender, Spool};
use penny_sys::ids;
use std::collections::BTreeSet;
use std::io::{self, BufRead, Write};

/// Octets collected before they go into the spool.
const PIECE: usize = 64 << 10;

/// Reads the message and commits it.
pub fn run(config: &Config, args: &Args) -> Result<Outcome, Failure> {
    let host = config.hostname();
    let account = ids::account_by_uid(ids::own_uid()).ok().flatten();
    let login = account.as_ref().map_or_else(|| format!("uid{}", ids::own_uid()), |a| a.name.clone());
    let sender = sender_address(args, &login, &host)?;
    let mut to = args.recipients.iter().map(|r| operand(r, &host)).collect::<Result<Vec<_>, _>>()?.concat();
    if to.is_empty() && !args.from_header {
        return Err(Failure::usage("no recipients; give them as arguments, or -t to take them from the header"));
    }
    let mut lines = Lines::new(io::stdin().lock(), args.ignore_dots);
    let (head, first) = header(&mut lines).map_err(|e| Failure::io("standard input", &e))?;
    if args.from_header {
        to.extend(recipients(&head, &host)?);
    }
    let unique: BTreeSet<String> = to.iter().cloned().collect();
    to.retain({
        let mut left = unique;
        move |t| left.remove(t)
    });
    if to.is_empty() {
        return Err(Failure::permanent(Kind::Data, "5.1.3", "the message names no recipient"));
    }
    let mut letter = Submission::new(config)?;
    letter.head(&head)?;
    letter.body(&mut lines, first)?;
    let now = penny_sys::time::now();
    let additions = Additions {
        host: &host,
        uid: ids::own_uid(),
        sender: if sender.is_empty() { "MAILER-DAEMON" } else { &sender },
        full_name: args.full_name.as_deref(),
        now: now.as_secs(),
        unique: format!("{}.{}.{:016x}", now.as_secs(), std::process::id(), penny_sys::random::u64()),
    };
    let fields = additions.fields(&head);
    let envelope = Envelope {
        arrival: (now.as_secs(), now.subsec_micros()),
        protocol: Line::new("local"),
        sender: Sender { address: address(&sender)?, params: sender_params(args, &letter, &sender, &to)? },
        recipients: to.iter().map(|t| recipient(t, args)).collect::<Result<_, _>>()?,
        ..Envelope::default()
    };
    letter.commit(&envelope, args.verp, fields.as_bytes(), args.verbose)
}

fn sender_address(args: &Args, login: &str, host: &str) -> Result<String, Failure> {
    match args.sender.as_deref().map(str::trim) {
        None => Ok(format!("{login}@{host}")),
        Some("" | "<>") => Ok(String::new()),
        Some(text) => {
            let mut list = operand(text, host)?;
            list.pop().filter(|_| list.is_empty()).ok_or_else(|| Failure::usage("one sender address, please"))
        }
    }
}

fn address(text: &str) -> Result<Address, Failure> {
    Address::new(text).ok_or_else(|| Failure::usage(format!("not an address: {text}")))
}

fn recipient(to: &str, args: &Args) -> Result<Recipient, Failure> {
    let param = args.notify.as_deref().map(|n| checked("NOTIFY", &n.to_ascii_uppercase()));
    let params = param.transpose()?.into_iter().collect::<Vec<_>>();
    let text: String = params.iter().map(|p| format!(" {p}")).collect();
    RcptParams::parse(&text, Charset::Utf8).map_err(|e| Failure::usage(format!("-N: {}", e.text())))?;
    Ok(Recipient { address: address(to)?, params })
}

fn checked(key: &str, value: &str) -> Result<Param, Failure> {
    Param::new(key, Some(value)).ok_or_else(|| Failure::usage(format!("not usable as {key}: {value}")))
}

fn sender_params(args: &Args, letter: &Submission, sender: &str, to: &[String]) -> Result<Vec<Param>, Failure> {
    let mut params = Vec::new();
    if letter.eight_bit {
        params.extend(Param::new("BODY", Some("8BITMIME")));
    }
    if !sender.is_ascii() || to.iter().any(|t| !t.is_ascii()) || letter.eight_bit_header {
        params.extend(Param::new("SMTPUTF8", None));
    }
    if let Some(ret) = &args.ret {
        params.push(checked("RET", &ret.to_ascii_uppercase())?);
    }
    if let Some(id) = &args.envid {
        params.push(checked("ENVID", &penny_addr::xtext_encode(id))?);
    }
    let text: String = params.iter().map(|p| format!(" {p}")).collect();
    MailParams::parse(&text, Charset::Utf8).map_err(|e| Failure::usage(e.text()))?;
    Ok(params)
}

/// The message on its way into the queue.
struct Submission {
    enqueue: Enqueue,
    spool: Spool,
    max: u64,
    eight_bit: bool,
    eight_bit_header: bool,
}

impl Submission {
    fn new(config: &Config) -> Result<Submission, Failure> {
        let enqueue = Enqueue::connect(config, None).map_err(|e| {
            Failure::temporary("4.3.0", "the mail system does not answer").with_detail(format!("enqueue: {e}"))
        })?;
        let max = config.smtpd.max_size.0;
        Ok(Submission { enqueue, spool: Spool::new(), max, eight_bit: false, eight_bit_header: false })
    }

    fn add(&mut self, piece: &[u8]) -> Result<(), Failure> {
        self.eight_bit |= !piece.is_ascii();
        if self.spool.len() + piece.len() as u64 > self.max {
            // 5.3.4: too big for the system
            return Err(Failure::permanent(Kind::Data, "5.3.4", format!("the message exceeds {} octets", self.max)));
        }
        self.spool.write(&mut self.enqueue, piece).map_err(|e| Failure::io("spool", &e))
    }

    fn head(&mut self, head: &[u8]) -> Result<(), Failure> {
        self.eight_bit_header = !head.is_ascii();
        self.add(&[without_bcc(head).as_slice(), b"\n"].concat())
    }

    fn body<R: BufRead>(&mut self, lines: &mut Lines<R>, first: Option<Vec<u8>>) -> Result<(), Failure> {
        let mut piece = first.unwrap_or_default();
        while let Some(line) = lines.next_line().map_err(|e| Failure::io("standard input", &e))? {
            piece.extend_from_slice(&line);
            if piece.len() >= PIECE {
                self.add(&piece)?;
                piece.clear();
            }
        }
        self.add(&piece)
    }

    /// One entry, or with VERP one for each recipient.
    fn commit(mut self, envelope: &Envelope, verp: bool, fields: &[u8], verbose: bool) -> Result<Outcome, Failure> {
        let envelopes = if verp && !envelope.is_null_sender() {
            envelope.recipients.iter().map(|r| variable(envelope, r)).collect()
        } else {
            vec![envelope.clone()]
        };
        for envelope in envelopes {
            let name = self.enqueue.commit(&envelope, fields, self.spool.message())?;
            if verbose {
                writeln!(io::stdout(), "queued as {name}").map_err(|e| Failure::io("standard output", &e))?;
            }
        }
        Ok(Outcome::Done)
    }
}

/// `list+user=example.org@here` as sender of the copy for user@example.org: a bounce then says whose it is.
fn variable(envelope: &Envelope, recipient: &Recipient) -> Envelope {
    let (sender, to) = (&envelope.sender.address, &recipient.address);
    let coded = format!("{}+{}={}@{}", sender.local_part(), to.local_part(), to.domain(), sender.domain());
    let mut copy = envelope.for_recipient(recipient.clone());
    if let Some(address) = Address::new(coded) {
        copy.sender.address = address;
    }
    copy
}
