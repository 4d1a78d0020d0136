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

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: [&str; 4] = [
        "From: \"A =?utf-8?q?B=C3=A9?=\" <a@b.example>\nTo: c@d.example\nSubject: =?utf-8?b?4oKs?= x\nContent-Type: multipart/mixed; boundary=\"b1\"\n\n--b1\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPGEgaHJlZj0iaHR0cDovL2EuYi9jIj5odHRwOi8vZS5mPC9hPg==\n--b1\nContent-Disposition: attachment; filename*0*=utf-8''a%20; filename*1=b.exe\n\nMZ\n--b1--\n",
        "Received: from x ([1.2.3.4])\n\tby y; Mon, 1 Jan 2024\nReply-To: <z@gmail.com>\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<html><style>a{}</style><a href=3D\"https://u@[::1]:8/?q=3D&#x41;&amp;\">paypal.com</a><div style=3D'display:none'>hid</div><!-- c --><form action=3Dx>\n",
        "Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/plain; charset=utf-16le\n\nh\0i\0\n",
        "From x\nSubject: verify your account within 24 hours\n\nDear customer, http://bit.ly/x?e=c@d.example\n",
    ];

    /// Changes, cuts, doubles and joins pieces of the seeds, the same way on every run.
    fn mutated(n: u32) -> Vec<u8> {
        let mut state = n.wrapping_mul(0x9E37_79B9) | 1;
        let mut next = |limit: usize| {
            state = crate::feature::mix(state.wrapping_add(0x6D2B_79F5));
            state as usize % limit.max(1)
        };
        let mut bytes = SEEDS[next(SEEDS.len())].as_bytes().to_vec();
        for _ in 0..1 + next(12) {
            let (at, length) = (next(bytes.len()), next(40));
            let end = (at + length).min(bytes.len());
            match next(5) {
                0 if !bytes.is_empty() => bytes[at] = next(256) as u8,
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let piece = bytes[at..end].repeat(1 + next(50));
                    bytes.splice(at..at, piece);
                }
                3 => {
                    let other = SEEDS[next(SEEDS.len())].as_bytes();
                    bytes.splice(at..at, other[next(other.len())..].iter().copied());
                }
                _ => bytes.insert(at, b"\n\r\0=?<>\"\\&%;:-"[next(14)]),
            }
        }
        bytes
    }

    #[test]
    fn mutated_mail_is_judged_and_learned() {
        let mut engine = Engine::default();
        let mut table = Table::empty();
        for n in 0..600 {
            let bytes = mutated(n);
            let verdict = engine.examine(&bytes, Some(&table));
            assert!(verdict.score > 0.0 && verdict.score < 1.0, "message {n}: score {}", verdict.score);
            if n % 3 == 0 {
                engine.learn(&bytes, &mut table, n % 2 == 0);
            }
        }
        assert!(table.verify().is_err()); // not sealed yet
        table.seal(1);
        assert_eq!(table.verify(), Ok(()));
    }

    #[test]
    fn any_cells_at_all_give_a_score() {
        let mut table = Table::empty();
        table.set_trained(500, 500);
        table.set_counted(3, 70_000);
        for n in 0..1 << crate::table::GRAM_BITS {
            (0..3).for_each(|r| table.set_gram(r, n, crate::feature::mix(n ^ r as u32) as i16));
        }
        for n in 0..1 << crate::table::COUNT_BITS {
            let word = crate::feature::mix(n);
            table.set_count(n, word & 0xFFFF, word >> 16, n);
        }
        let mut engine = Engine::default();
        for seed in SEEDS {
            let verdict = engine.examine(seed.as_bytes(), Some(&table));
            assert!(verdict.score >= 0.0 && verdict.score <= 1.0, "{}", verdict.score);
        }
    }
}
