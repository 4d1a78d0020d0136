//! App passwords: further passwords of a login, one for each device or program, which can be withdrawn one by one.
//!
//! Format      `login:label:{SCHEME}hash:date`, one a line; the date (`2026-11-24`) says when it was made
//! Trust       written by `pennypost user app`; as secret as the users table

use crate::compile::{Compiled, SAMPLES};
use crate::lines::{Mistake, single};
use std::io;
use std::rc::Rc;

/// One app password.
#[derive(Clone, PartialEq, Eq)]
pub struct App {
    /// Login as in the users table.
    pub login: String,
    /// The device or program.
    pub label: String,
    /// `{SCHEME}hash`.
    pub password: String,
    /// Day it was made.
    pub date: String,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("login", &self.login).field("label", &self.label).finish_non_exhaustive()
    }
}

/// The whole table.
#[derive(Debug, Clone, Default)]
pub struct Apps {
    list: Vec<App>,
    compiled: Option<Rc<Compiled>>,
}

impl Apps {
    /// Reads the text of the table.
    pub fn parse(text: &str) -> (Apps, Vec<Mistake>) {
        let (mut apps, mut mistakes) = (Vec::new(), Vec::new());
        for (number, line) in single(text) {
            let fields: Vec<&str> = line.trim().splitn(4, ':').collect();
            match fields.as_slice() {
                [login, label, password, rest @ ..]
                    if !login.is_empty() && !label.is_empty() && !password.is_empty() =>
                {
                    let date = rest.first().copied().unwrap_or("");
                    let [login, label, password, date] = [*login, *label, *password, date].map(str::to_string);
                    apps.push(App { login, label, password, date });
                }
                _ => mistakes.push(Mistake { line: number, text: "expected login:label:{SCHEME}hash:date".into() }),
            }
        }
        (Apps { list: apps, compiled: None }, mistakes)
    }

    /// Those of a compiled table.
    pub fn compiled(table: Rc<Compiled>) -> Apps {
        Apps { list: Vec::new(), compiled: Some(table) }
    }

    /// Those of one login.
    pub fn of(&self, login: &str) -> io::Result<Vec<App>> {
        let Some(table) = &self.compiled else {
            return Ok(self.list.iter().filter(|a| a.login == login).cloned().collect());
        };
        let text = table.text(login.as_bytes())?.unwrap_or_default();
        let lines: String = text.lines().map(|rest| format!("{login}:{rest}\n")).collect();
        Ok(Apps::parse(&lines).0.list)
    }

    /// Any of them.
    pub(crate) fn any(&self) -> Option<&App> {
        self.list.first()
    }

    /// True when nobody has one.
    pub fn is_empty(&self) -> bool {
        let some = |t: &Rc<Compiled>| t.octets(SAMPLES).ok().flatten().is_none_or(|s| !s.is_empty());
        self.list.is_empty() && !self.compiled.as_ref().is_some_and(some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_and_mistakes() {
        let (apps, mistakes) = Apps::parse("# c\na@x:phone:{PLAIN}s:2026-01-02\na@x:tablet:{PLAIN}t\nb@x:only\n");
        assert_eq!(apps.of("a@x").unwrap().iter().map(|a| a.label.as_str()).collect::<Vec<_>>(), ["phone", "tablet"]);
        assert_eq!(mistakes.iter().map(|m| m.line).collect::<Vec<_>>(), [4]);
        assert!(!format!("{apps:?}").contains("{PLAIN}"));
    }
}
