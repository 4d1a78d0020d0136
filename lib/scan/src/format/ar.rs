//! ar archives, Debian packages among them.
//!
//! Standards   ar(5): System V (`name/`, `//` long names) and BSD (`#1/len`)

use crate::sink::{Meta, Sink, Trouble};

/// Hands over every member.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    let mut at = 8;
    let mut long: &[u8] = &[];
    let mut n = 0;
    while let Some(head) = data.get(at..at + 60) {
        if sink.done() {
            return;
        }
        let text =
            |from: usize, to: usize| std::str::from_utf8(head.get(from..to).unwrap_or_default()).unwrap_or("").trim();
        let Ok(size) = text(48, 58).parse::<usize>() else {
            sink.trouble(Trouble::Damaged, "an ar archive whose headers do not add up");
            return;
        };
        let rest = data.get(at + 60..).unwrap_or_default();
        let body = rest.get(..size).unwrap_or(rest);
        at = (at + 60).saturating_add(size).checked_next_multiple_of(2).unwrap_or(usize::MAX - 100);
        let raw = text(0, 16);
        if raw == "//" {
            long = body;
            continue;
        }
        let (name, body) = name(raw, long, body);
        n += 1;
        let size = Some(body.len() as u64);
        sink.member(&Meta { size, packed: size, position: n, ..Meta::named("AR", name) }, body);
    }
}

fn name<'a>(raw: &str, long: &[u8], body: &'a [u8]) -> (String, &'a [u8]) {
    let inside = raw.strip_prefix("#1/").and_then(|n| n.parse::<usize>().ok());
    if let Some((name, rest)) = inside.and_then(|len| body.split_at_checked(len)) {
        return (crate::mime::params::text(name).trim_end_matches('\0').to_owned(), rest);
    }
    let offset = raw.strip_prefix('/').and_then(|n| n.parse::<usize>().ok());
    let listed = offset.and_then(|at| long.get(at..)).and_then(|l| l.split(|c| matches!(c, b'\n' | 0)).next());
    let name = listed.map_or_else(|| raw.to_owned(), crate::mime::params::text);
    (name.trim_end_matches('/').to_owned(), body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    #[test]
    fn three_kinds_of_names() {
        let mut d = b"!<arch>\n".to_vec();
        for (name, body) in
            [("//", &b"long-name.exe/\n"[..]), ("/0", b"one"), ("b.txt/", b"two!"), ("#1/4", b"namebody")]
        {
            d.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 644, body.len()).bytes());
            d.extend(body);
            d.resize(d.len().next_multiple_of(2), b'\n');
        }
        let mut c = Collect::default();
        read(&d, &mut c);
        let names: Vec<_> = c.members.iter().map(|m| m.0.as_str()).collect();
        assert_eq!(names, ["long-name.exe", "b.txt", "name"]);
        assert!(c.has(b"body") && c.has(b"one"));
    }
}
