//! One line of the log taken apart.

use super::time;

/// An event.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Seconds since 1970, where the line or its fields tell.
    pub time: Option<f64>,
    /// The program that wrote it.
    pub program: String,
    /// Queue id; `None` for `-`.
    pub id: Option<String>,
    /// Name of the event.
    pub event: String,
    /// Keys and values in their order, values unescaped.
    pub fields: Vec<(String, String)>,
}

impl Line {
    /// Takes a line apart; `None` when it is not one of ours.
    pub fn parse(text: &str) -> Option<Line> {
        let at = text.find("]: q=")?;
        let open = text.get(..at)?.rfind('[')?;
        let head = text.get(..open)?;
        let start = head.rfind([' ', '\t']).map_or(0, |i| i + 1);
        let program = head.get(start..)?.to_string();
        if program.is_empty() || !text.get(open + 1..at)?.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let mut fields = pairs(text.get(at + 3..)?);
        let mut take = |key: &str| {
            let found = fields.iter().position(|(k, _)| k == key)?;
            Some(fields.remove(found).1)
        };
        let id = take("q").filter(|q| q != "-");
        let event = take("ev")?;
        let time = time::prefix(head.get(..start)?.trim());
        Some(Line { time, program, id, event, fields })
    }

    /// A field.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str()).filter(|v| *v != "-")
    }

    /// A field, or nothing.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).unwrap_or("")
    }

    /// When it was: as the line says, else from the entry's arrival and age.
    pub fn when(&self) -> Option<f64> {
        let arrival = || {
            let mut parts = self.id.as_deref()?.split('.');
            let (seconds, micro) = (parts.next()?.parse::<f64>().ok()?, parts.next()?.parse::<f64>().ok()?);
            // transaction ids have no dots, names of entries have at least four parts
            parts.next().map(|_| seconds + micro / 1e6)
        };
        let age = self.get("age").and_then(|a| a.parse::<f64>().ok());
        let stored = || self.get("file")?.split('.').next()?.parse::<f64>().ok();
        self.time.or_else(stored).or_else(|| arrival().map(|a| a + age.unwrap_or(0.0)))
    }
}

/// `key=value key="va lue"`.
fn pairs(text: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((key, tail)) = rest.split_once('=') {
        let (value, left) = match tail.strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => tail.split_once(' ').map_or((tail.to_string(), ""), |(v, l)| (v.to_string(), l)),
        };
        out.push((key.trim_start().to_string(), value));
        rest = left;
    }
    out
}

/// Up to the closing quote; `\"`, `\\` and `\xNN` undone.
fn unquote(text: &str) -> (String, &str) {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (String::from_utf8_lossy(&bytes).into_owned(), text.get(at + 1..).unwrap_or("")),
            '\\' => match chars.next() {
                Some((at, 'x')) => {
                    let hex = text.get(at + 1..at + 3).and_then(|h| u8::from_str_radix(h, 16).ok());
                    bytes.extend(hex);
                    chars.nth(1);
                }
                Some((_, c)) => bytes.extend(c.to_string().bytes()),
                None => {}
            },
            c => bytes.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    (String::from_utf8_lossy(&bytes).into_owned(), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_writer_wrote_comes_back() {
        let text = penny_base::log::format_line(
            "reject",
            Some("1.2.3.4.5"),
            &[("helo", &"a\nq=1 \"é\\"), ("ip", &"::1"), ("empty", &""), ("n", &3)],
        );
        let line = Line::parse(&format!("Nov 24 10:00:01 mx smtpd[12]: {text}")).unwrap();
        assert_eq!((line.program.as_str(), line.event.as_str()), ("smtpd", "reject"));
        assert_eq!(line.text("helo"), "a\nq=1 \"é\\");
        assert_eq!((line.text("ip"), line.text("empty"), line.text("n")), ("::1", "", "3"));
    }

    #[test]
    fn every_keeper_of_logs() {
        for (head, seconds) in [
            ("", None),
            ("1795510380.155919 mx enqueue[99]: ", Some(1_795_510_380.155_919)),
            ("2026-11-24T08:53:00.500000+00:00 mx ", Some(1_795_510_380.5)),
            ("@400000006b05512c09524a53 ", Some(1_795_510_562.0)),
        ] {
            let line = Line::parse(&format!("{head}qrun[633]: q=- ev=ready waiting=0")).unwrap();
            assert_eq!((line.program.as_str(), line.event.as_str()), ("qrun", "ready"), "{head}");
            let close = |t: f64, s: f64| (t - s).abs() < 1.0;
            assert!(seconds.is_none() == line.time.is_none(), "{head} {:?}", line.time);
            assert!(seconds.is_none_or(|s| line.time.is_some_and(|t| close(t, s))), "{head} {:?}", line.time);
        }
        assert!(Line::parse("Nov 24 10:00:01 mx sshd[1]: Accepted q= x").is_none());
        assert!(Line::parse("").is_none());
    }

    #[test]
    fn the_time_of_an_entry_without_a_stamp() {
        let line = Line::parse("qrun[1]: q=1795510380.500000.2.0.ab ev=deferred to=<a@b> age=10").unwrap();
        assert_eq!(line.when(), Some(1_795_510_390.5));
    }
}
