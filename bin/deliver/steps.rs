//! Carrying out `.forward` and `.qmail` instructions.
//!
//! Order       programs and files as written, then all forwards in one queue entry (so a retry repeats as little as possible)
//! Failures    the first failure ends it: dot-qmail(5). A program's 99 skips the rest but not the forwards before it

use std::path::{Path, PathBuf};

use penny_base::{Failure, Outcome};

use crate::context::Context;
use crate::folder::{self, Filing};
use crate::forward::{self, Step};
use crate::outcome::Done;
use crate::{fields, mbox, program, safe, send};

/// Most instructions of one message, includes counted.
const STEPS_MAX: usize = 1000;
/// Nesting of :include:.
const INCLUDES_MAX: usize = 5;

/// Runs them all.
pub fn run(context: &Context, steps: &[Step], extra: &[(String, String)]) -> Result<Done, Failure> {
    let mut runner = Runner { context, extra, forwards: Vec::new(), done: Vec::new(), count: 0 };
    runner.all(steps, 0)?;
    send::forward(context, &runner.forwards)?;
    if !runner.forwards.is_empty() {
        runner.done.push(format!("forwarded to {}", runner.forwards.join(", ")));
    }
    Ok(Done::new(if runner.done.is_empty() { "dropped as instructed".into() } else { runner.done.join("; ") }))
}

struct Runner<'a> {
    context: &'a Context,
    extra: &'a [(String, String)],
    forwards: Vec<String>,
    done: Vec<String>,
    count: usize,
}

/// Go on, or skip the rest.
#[derive(PartialEq)]
enum Next {
    On,
    Stop,
}

impl Runner<'_> {
    fn all(&mut self, steps: &[Step], depth: usize) -> Result<Next, Failure> {
        for step in steps {
            self.count += 1;
            if self.count > STEPS_MAX {
                return Err(Failure::temporary("4.3.5", "too many delivery instructions"));
            }
            if self.one(step, depth)? == Next::Stop {
                return Ok(Next::Stop);
            }
        }
        Ok(Next::On)
    }

    fn one(&mut self, step: &Step, depth: usize) -> Result<Next, Failure> {
        match step {
            Step::Own => {
                let took = folder::deliver(self.context, "INBOX", &Filing::default())?;
                self.done.push(format!("delivered to {took}"));
            }
            Step::Address(address) => self.forwards.push(address.clone()),
            Step::Program(line) => {
                program::allowed(self.context)?;
                let input = fields::stored_file(self.context).map_err(|e| Failure::io("message copy", &e))?;
                let outcome = program::run_line(self.context, line, self.extra, &input)?;
                self.done.push("given to a program".into());
                if outcome == Outcome::DoneStop {
                    return Ok(Next::Stop);
                }
            }
            Step::Mbox(path) => {
                mbox::append(self.context, &self.path(path)?)?;
                self.done.push("appended to a file".into());
            }
            Step::Maildir(path) => {
                folder::deliver_to_path(self.context, &self.path(path)?)?;
                self.done.push("delivered to a Maildir".into());
            }
            Step::Include(path) => return self.include(path, depth),
        }
        Ok(Next::On)
    }

    /// Paths are the user's own; outside the home only for those who may run programs.
    fn path(&self, text: &str) -> Result<PathBuf, Failure> {
        let relative = text.strip_prefix("~/").or_else(|| text.strip_prefix("./"));
        let path = relative.map_or_else(|| PathBuf::from(text), |r| self.context.owner.home.join(r));
        let inside = path.starts_with(&self.context.owner.home) && !path.components().any(|c| c.as_os_str() == "..");
        if !inside && path != Path::new("/dev/null") {
            program::allowed(self.context)
                .map_err(|_| Failure::temporary("4.7.0", "files outside the mailbox are not allowed"))?;
        }
        Ok(path)
    }

    fn include(&mut self, path: &str, depth: usize) -> Result<Next, Failure> {
        if depth >= INCLUDES_MAX {
            return Err(Failure::temporary("4.3.5", "include files nested too deep"));
        }
        let path = self.path(path)?;
        let rules = safe::read(&path)?.ok_or_else(|| {
            Failure::temporary("4.3.5", "an include file is missing").with_detail(path.display().to_string())
        })?;
        let text = String::from_utf8_lossy(&rules.text);
        let steps = forward::parse(&text, &self.context.owner.user).map_err(|e| bad(&path, &e))?;
        self.all(&steps, depth + 1)
    }
}

/// An instruction file that cannot be understood: mail waits until its owner mends it.
pub fn bad(path: &Path, why: &str) -> Failure {
    Failure::temporary("4.3.5", "the recipient's delivery instructions have an error")
        .with_detail(format!("{}: {why}", path.display()))
}
