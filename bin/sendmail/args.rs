//! The command line of all sendmails: letters whose meaning depends on history.
//!
//! Standard    sendmail(8) of Sendmail 8 and Postfix; LSB 5.0 sendmail
//! Notes       `-f` and `-r` are one; `-o` options but `-oi` and `-om` change nothing here; `-q` alone is "flush"

use penny_base::Failure;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Send the message on standard input.
    Deliver,
    /// `-bp`, `mailq`.
    Queue,
    /// `-q`.
    Flush,
    /// `-bi`, `newaliases`.
    Aliases,
    /// `-bv`.
    Verify,
    /// `-bs`.
    Smtp,
}

/// The command line.
#[derive(Debug)]
pub struct Args {
    /// What is wanted.
    pub mode: Mode,
    /// `-C`.
    pub config: Option<PathBuf>,
    /// `-f`, `-r`.
    pub sender: Option<String>,
    /// `-F`.
    pub full_name: Option<String>,
    /// `-t`.
    pub from_header: bool,
    /// `-i`, `-oi`: a line with a dot alone is a line like others.
    pub ignore_dots: bool,
    /// `-N`.
    pub notify: Option<String>,
    /// `-R`.
    pub ret: Option<String>,
    /// `-V`.
    pub envid: Option<String>,
    /// `-XV`: each recipient gets a sender address of its own.
    pub verp: bool,
    /// `-v`.
    pub verbose: bool,
    /// `-qR`, `-qS`, `-qI`: the flush is for these only.
    pub flush: Option<(char, String)>,
    /// Operands.
    pub recipients: Vec<String>,
}

/// Letters that take a value, attached or as the next argument.
const VALUED: &str = "ABCDdFfhLNOopRrVX";
/// Of these, those whose value must be attached if there is one.
const ATTACHED: &str = "do";
/// Letters without a value.
const PLAIN: &str = "GgimnstUvx";

/// Reads the arguments, the program's name included.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Args, Failure> {
    let mut list = arguments;
    let name = list.next().unwrap_or_default();
    let called = Path::new(&name).file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let mut args = Args {
        mode: match called.as_str() {
            "mailq" => Mode::Queue,
            "newaliases" => Mode::Aliases,
            _ => Mode::Deliver,
        },
        config: None,
        sender: None,
        full_name: None,
        from_header: false,
        ignore_dots: false,
        notify: None,
        ret: None,
        envid: None,
        verp: false,
        verbose: false,
        flush: None,
        recipients: Vec::new(),
    };
    let mut only_operands = false;
    while let Some(argument) = list.next() {
        let text = argument.into_string().map_err(|_| Failure::usage("an argument is not UTF-8"))?;
        if only_operands || text == "-" || !text.starts_with('-') {
            args.recipients.push(text);
        } else if text == "--" {
            only_operands = true;
        } else {
            args.letters(text.trim_start_matches('-'), &mut list)?;
        }
    }
    Ok(args)
}

impl Args {
    fn letters(&mut self, word: &str, list: &mut impl Iterator<Item = OsString>) -> Result<(), Failure> {
        let mut rest = word;
        while let Some(letter) = rest.chars().next() {
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
            match letter {
                'b' => return self.mode_of(rest),
                'q' => return self.flush_of(rest),
                'e' => return Ok(()), // how errors are told: by exit code, always
                _ if VALUED.contains(letter) => {
                    let value = self.value(letter, rest, list)?;
                    return self.valued(letter, value);
                }
                'i' => self.ignore_dots = true,
                't' => self.from_header = true,
                'v' => self.verbose = true,
                _ if PLAIN.contains(letter) => {}
                _ => return Err(Failure::usage(format!("unknown option -{letter}"))),
            }
        }
        Ok(())
    }

    fn value(&self, letter: char, rest: &str, list: &mut impl Iterator<Item = OsString>) -> Result<String, Failure> {
        if !rest.is_empty() || ATTACHED.contains(letter) {
            return Ok(rest.to_owned());
        }
        let next = list.next().and_then(|v| v.into_string().ok());
        next.ok_or_else(|| Failure::usage(format!("option -{letter} needs a value")))
    }

    fn mode_of(&mut self, word: &str) -> Result<(), Failure> {
        self.mode = match word {
            "m" | "" => Mode::Deliver,
            "p" | "P" => Mode::Queue,
            "i" => Mode::Aliases,
            "v" => Mode::Verify,
            "s" => Mode::Smtp,
            _ => return Err(Failure::usage(format!("mode -b{word} is not known here; daemons are separate programs"))),
        };
        Ok(())
    }

    /// `-q`, `-q30m` (a daemon's interval: flush once), `-qRsubstring`, `-qSsender`, `-qIid`.
    fn flush_of(&mut self, word: &str) -> Result<(), Failure> {
        self.mode = Mode::Flush;
        let kind = word.chars().next().filter(|c| "RSI".contains(*c));
        self.flush = kind.map(|k| (k, word.get(1..).unwrap_or_default().to_owned()));
        Ok(())
    }

    fn valued(&mut self, letter: char, value: String) -> Result<(), Failure> {
        match letter {
            'C' => self.config = Some(value.into()),
            'f' | 'r' => self.sender = Some(value),
            'F' => self.full_name = Some(value),
            'N' => self.notify = Some(value),
            'R' => self.ret = Some(value),
            'V' => self.envid = Some(value),
            'X' => self.verp |= value.starts_with('V'),
            'o' if value.starts_with('i') => self.ignore_dots = true,
            'O' if value.to_ascii_lowercase().starts_with("ignoredots") => self.ignore_dots = true,
            _ => {} // -B -h -L -p -d -A -D and the other -o and -O
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Args, Failure> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn what_programs_call_it_with() {
        // cron, PHP mail(), git send-email, mutt, mailx
        let a = of("/usr/sbin/sendmail -FCronDaemon -i -B8BITMIME -oem root").unwrap();
        assert_eq!(
            (a.full_name.as_deref(), a.ignore_dots, a.recipients.as_slice()),
            (Some("CronDaemon"), true, &["root".to_owned()][..])
        );
        let a = of("sendmail -t -i -fme@x").unwrap();
        assert!(a.from_header && a.ignore_dots && a.sender.as_deref() == Some("me@x"));
        let a = of("sendmail -i -f me@x a@b c@d").unwrap();
        assert_eq!(a.recipients, ["a@b", "c@d"]);
        let a = of("sendmail -oi -oem -oeq -om -N failure,delay -R hdrs -V id -- -odd@x").unwrap();
        assert_eq!(
            (a.notify.as_deref(), a.ret.as_deref(), a.envid.as_deref()),
            (Some("failure,delay"), Some("hdrs"), Some("id"))
        );
        assert_eq!(a.recipients, ["-odd@x"]);
        let a = of("sendmail -XV -ti -r x@y -O DeliveryMode=b -O IgnoreDots=true -h 3 -vx").unwrap();
        assert!(a.verp && a.from_header && a.verbose);
    }

    #[test]
    fn names_and_modes() {
        for (line, mode) in [
            ("mailq", Mode::Queue),
            ("/usr/bin/newaliases", Mode::Aliases),
            ("sendmail -bp", Mode::Queue),
            ("sendmail -bi", Mode::Aliases),
            ("sendmail -bs", Mode::Smtp),
            ("sendmail -bv a@b", Mode::Verify),
            ("sendmail -bm a@b", Mode::Deliver),
            ("sendmail -q", Mode::Flush),
            ("sendmail -q30m", Mode::Flush),
        ] {
            assert_eq!(of(line).unwrap().mode, mode, "{line}");
        }
        assert_eq!(of("sendmail -qRexample.org").unwrap().flush, Some(('R', "example.org".into())));
        for bad in ["sendmail -bd", "sendmail -f", "sendmail -z"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
