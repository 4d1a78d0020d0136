//! TOML text to [`Config`], with the place of every mistake.

use super::{Config, Filter, Listen, Mistake, Mistakes, Raw};
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What a filter may serve.
const FILTER_SERVICES: [&str; 5] = ["mx", "submission", "lmtp", "forward", "own"];

struct Reader<'a> {
    text: &'a str,
    mistakes: Vec<Mistake>,
    config: Config,
}

pub(super) fn parse(file: &Path, text: &str) -> Result<Config, Mistakes> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let config = Config { file: file.to_path_buf(), ..Config::default() };
    let mut reader = Reader { text, mistakes: Vec::new(), config };
    for e in errors {
        let at = e.span().map_or(0, |s| s.start);
        reader.mistake(at, e.message().to_string());
    }
    reader.table(table.get_ref());
    reader.check();
    if reader.mistakes.is_empty() {
        return Ok(reader.config);
    }
    reader.mistakes.sort_by_key(|m| (m.line, m.column));
    Err(Mistakes { file: file.into(), list: reader.mistakes })
}

fn raw(value: &DeValue<'_>) -> Option<Raw> {
    Some(match value {
        DeValue::String(s) => Raw::Text(s.to_string()),
        DeValue::Integer(n) => Raw::Int(i64::from_str_radix(&n.as_str().replace('_', ""), n.radix()).ok()?),
        DeValue::Boolean(b) => Raw::Bool(*b),
        DeValue::Float(f) => Raw::Float(f.as_str().to_string()),
        DeValue::Array(items) => Raw::List(items.iter().map(|i| list_item(i.get_ref())).collect::<Option<_>>()?),
        _ => return None,
    })
}

fn list_item(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(s) => Some(s.to_string()),
        DeValue::Integer(n) => Some(n.as_str().to_string()),
        _ => None,
    }
}

impl Reader<'_> {
    fn mistake(&mut self, offset: usize, text: String) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        self.mistakes.push(Mistake { line, column, text });
    }

    fn table(&mut self, table: &DeTable<'_>) {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(inner) => self.section(name, key.span().start, inner),
                DeValue::Array(items) if name == Listen::SECTION || name == Filter::SECTION => {
                    self.entries(name, items)
                }
                _ => self.key("", name, key.span().start, value),
            }
        }
    }

    fn section(&mut self, section: &str, at: usize, table: &DeTable<'_>) {
        let mut known = false;
        self.config.each(&mut |s| known |= s.section == section);
        if !known {
            return self.mistake(at, format!("unknown section [{section}]"));
        }
        for (key, value) in table {
            self.key(section, key.get_ref().as_ref(), key.span().start, value);
        }
    }

    fn key(&mut self, section: &str, key: &str, at: usize, value: &Spanned<DeValue<'_>>) {
        let full = if section.is_empty() { key.to_string() } else { format!("{section}.{key}") };
        let result = match raw(value.get_ref()) {
            Some(raw) => self.config.set(section, key, &raw),
            None => Err("a value of this type is not used here".into()),
        };
        self.judge(result, &full, at, value.span().start);
    }

    fn judge(&mut self, result: Result<bool, String>, key: &str, key_at: usize, value_at: usize) {
        match result {
            Ok(true) => {}
            Ok(false) => self.mistake(key_at, super::advice::unknown(key)),
            Err(e) => self.mistake(value_at, format!("{key}: {e}")),
        }
    }

    fn entries(&mut self, section: &str, items: &toml::de::DeArray<'_>) {
        for item in items.iter() {
            let DeValue::Table(table) = item.get_ref() else {
                self.mistake(item.span().start, format!("{section}: write it as [[{section}]]"));
                continue;
            };
            if section == Listen::SECTION {
                let entry = self.entry(section, table, Listen::default(), Listen::set);
                self.needs(
                    item.span().start,
                    "[[listen]] needs address and program",
                    !entry.address.is_empty() && !entry.program.is_empty(),
                );
                self.config.listen.push(entry);
            } else {
                self.filter(item.span().start, table);
            }
        }
    }

    fn filter(&mut self, at: usize, table: &DeTable<'_>) {
        let entry = self.entry(Filter::SECTION, table, Filter::default(), Filter::set);
        let whole = !entry.name.is_empty() && !entry.command.is_empty();
        self.needs(at, "[[filter]] needs name and command", whole);
        let known = entry.services.iter().all(|s| FILTER_SERVICES.contains(&s.as_str()));
        self.needs(at, "filter.services: expected mx, submission, lmtp, forward, own", known);
        let leaves = entry.services.iter().any(|s| s == "forward" || s == "own");
        let text = "filter.rewrite: mail that leaves (forward, own) gets fields on top, never another text";
        self.needs(at, text, !(entry.rewrite && leaves));
        self.config.filter.push(entry);
    }

    fn needs(&mut self, at: usize, text: &str, has: bool) {
        if !has {
            self.mistake(at, text.to_string());
        }
    }

    fn entry<T>(
        &mut self,
        section: &str,
        table: &DeTable<'_>,
        mut entry: T,
        set: fn(&mut T, &str, &Raw) -> Result<bool, String>,
    ) -> T {
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let result = match raw(value.get_ref()) {
                Some(raw) => set(&mut entry, name, &raw),
                None => Err("a value of this type is not used here".into()),
            };
            self.judge(result, &format!("{section}.{name}"), key.span().start, value.span().start);
        }
        entry
    }

    /// A newer form explains all other mistakes, so it stands alone.
    fn mistake_at_version(&mut self, text: String) {
        let at = self.text.lines().scan(0, |at, line| {
            let start = *at;
            *at += line.len() + 1;
            Some((start, line))
        });
        let place = at.into_iter().find(|(_, line)| line.starts_with("version")).map_or(0, |(start, _)| start);
        self.mistakes.clear();
        self.mistake(place, format!("version: {text}"));
    }

    /// What only the whole can show.
    fn check(&mut self) {
        let c = &self.config;
        let mut wrong = Vec::new();
        if let Err(e) = super::advice::form(c.top.version) {
            return self.mistake_at_version(e);
        }
        if !matches!(c.tls.min_version.as_str(), "1.2" | "1.3") {
            wrong.push("tls.min_version: expected 1.2 or 1.3");
        }
        if !matches!(c.auth.source.as_str(), "users" | "pam" | "checkpassword") {
            wrong.push("auth.source: expected users, pam or checkpassword");
        }
        if !matches!(c.imapd.separator.as_str(), "/" | ".") {
            wrong.push("imapd.separator: expected / or .");
        }
        if c.imapd
            .public
            .iter()
            .any(|p| !p.split_once(' ').is_some_and(|(n, dir)| !n.is_empty() && dir.starts_with('/')))
        {
            wrong.push("imapd.public: expected entries of a name, a blank and the path of a directory");
        }
        for text in wrong {
            self.mistake(0, text.to_string());
        }
    }
}
