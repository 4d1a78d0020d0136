//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand};
use penny_base::Failure;
use std::path::PathBuf;

/// Looks at the queue and changes it.
#[derive(Debug, Parser)]
#[command(name = "qctl", version, about)]
pub struct Args {
    /// Configuration file.
    #[arg(short, long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A table of entries, or JSON lines.
    List {
        #[command(flatten)]
        which: Which,
        /// JSON, one entry a line.
        #[arg(short, long)]
        json: bool,
    },
    /// All that is known of entries: each recipient with its last outcome.
    Show {
        /// Entry names.
        #[arg(required = true)]
        ids: Vec<String>,
        /// JSON, one entry a line.
        #[arg(short, long)]
        json: bool,
    },
    /// The entry as it lies on disk.
    Cat {
        /// Entry name.
        id: String,
        /// Only the message, without the envelope.
        #[arg(short, long)]
        message: bool,
    },
    /// Recipients waiting, by domain and age.
    Summary {
        #[command(flatten)]
        which: Which,
        /// JSON, one domain a line.
        #[arg(short, long)]
        json: bool,
    },
    /// What is going on now, again and again.
    Top {
        /// Seconds between two looks.
        #[arg(short, long, default_value_t = 2)]
        seconds: u64,
        /// End after so many looks; 0 is never.
        #[arg(short = 'n', long, default_value_t = 0)]
        count: u64,
    },
    /// Stop trying.
    Hold {
        #[command(flatten)]
        which: Which,
    },
    /// Let held entries go on.
    Release {
        #[command(flatten)]
        which: Which,
    },
    /// Try now.
    Retry {
        #[command(flatten)]
        which: Which,
    },
    /// Delete, without telling the sender.
    Remove {
        #[command(flatten)]
        which: Which,
    },
    /// Give back to the sender.
    Bounce {
        #[command(flatten)]
        which: Which,
    },
    /// Look aliases and routes up again for what is left, and try now.
    Requeue {
        #[command(flatten)]
        which: Which,
    },
    /// Try everything now, or everything for a domain.
    Flush {
        /// The domain.
        domain: Option<String>,
    },
}

/// Which entries.
#[derive(Debug, ClapArgs)]
pub struct Which {
    /// Entry names.
    pub ids: Vec<String>,
    /// All entries.
    #[arg(short, long)]
    pub all: bool,
    /// From this address, or from `@domain`; `<>` for reports.
    #[arg(long, value_name = "ADDRESS")]
    pub sender: Option<String>,
    /// To this address, or to `@domain`.
    #[arg(long, value_name = "ADDRESS")]
    pub recipient: Option<String>,
    /// Still to go to this domain.
    #[arg(long, value_name = "DOMAIN")]
    pub domain: Option<String>,
    /// new, active, waiting or held.
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Text in the last answer.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Older than this: 90, 30m, 4h, 2d.
    #[arg(long, value_name = "AGE")]
    pub older: Option<String>,
    /// Younger than this.
    #[arg(long, value_name = "AGE")]
    pub younger: Option<String>,
}

impl Which {
    /// The filters as qrun wants them.
    pub fn fields(&self) -> Result<Vec<String>, Failure> {
        let mut out: Vec<String> = self.ids.iter().map(|id| format!("id={id}")).collect();
        let texts = [
            ("sender", &self.sender),
            ("recipient", &self.recipient),
            ("domain", &self.domain),
            ("state", &self.state),
            ("reason", &self.reason),
        ];
        out.extend(texts.iter().filter_map(|(key, value)| value.as_ref().map(|v| format!("{key}={v}"))));
        for (key, age) in [("older", &self.older), ("younger", &self.younger)] {
            if let Some(age) = age {
                let secs = seconds(age).ok_or_else(|| Failure::usage(format!("not an age: {age}")))?;
                out.push(format!("{key}={secs}"));
            }
        }
        out.extend(self.all.then(|| "all".to_owned()));
        Ok(out)
    }
}

/// `90`, `90s`, `30m`, `4h`, `2d` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text.get(digits.len()..)? {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("4h"), Some(14_400));
        for bad in ["", "h", "4x", "4hh", "-1"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }
}
