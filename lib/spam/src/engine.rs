//! All of it together: bytes and a table in, a verdict out; and the way back, learning.

use crate::feature::Extractor;
use crate::model::{self, Learned, Outcome};
use crate::rules::{self, Context, file::Rule};
use crate::senders;
use crate::table::Table;
use crate::verdict::{Cuts, Verdict, judge};
use crate::view::Message;

/// A filter with its settings; scores many messages one after another.
#[derive(Default)]
pub struct Engine {
    extractor: Extractor,
    /// The administrator's rules.
    pub site_rules: Vec<Rule>,
    /// What is known besides the message.
    pub context: Context,
    /// Leave the rules out.
    pub no_rules: bool,
    /// Leave the learned part out.
    pub no_table: bool,
    /// The cuts.
    pub cuts: Cuts,
}

/// A message file may begin with an mbox `From ` line, which is not part of the message.
pub fn without_from_line(bytes: &[u8]) -> &[u8] {
    if !bytes.starts_with(b"From ") {
        return bytes;
    }
    memchr::memchr(b'\n', bytes).and_then(|i| bytes.get(i + 1..)).unwrap_or(bytes)
}

impl Engine {
    /// Judges a message.
    pub fn examine<B: AsRef<[u8]>>(&mut self, bytes: &[u8], table: Option<&Table<B>>) -> Verdict {
        self.examine_view(&Message::read(without_from_line(bytes)), table)
    }

    /// Judges a message that was looked at already.
    pub fn examine_view<B: AsRef<[u8]>>(&mut self, message: &Message<'_>, table: Option<&Table<B>>) -> Verdict {
        let table = table.filter(|_| !self.no_table);
        let learned = match table {
            Some(table) if table.trained() != (0, 0) => model::score(table, &self.extractor.features(message)),
            _ => Learned::default(),
        };
        let mut hits = Vec::new();
        if !self.no_rules {
            let (_, from) = rules::mailbox(message.field("from").unwrap_or(b""));
            self.context.known = table.is_some_and(|t| senders::is_known(t, &from));
            hits = rules::check(message, &self.context);
            hits.extend(rules::file::apply(&self.site_rules, message, &self.context));
        }
        judge(learned, table.map_or((0, 0), Table::trained), hits, self.cuts)
    }

    /// Learns a message.
    pub fn learn(&mut self, bytes: &[u8], table: &mut Table<Vec<u8>>, spam: bool) -> Outcome {
        let message = Message::read(without_from_line(bytes));
        model::learn(table, model::identity(&message), &self.extractor.features(&message), spam)
    }
}
