//! Unique ids of messages, RFC 1939 7, in the forms other servers gave them, so that after a switch no client fetches all
//! mail again.
//!
//! Format      `%u` UID, `%v` UIDVALIDITY, `%f` base file name, `%g` the same; `0`, a width and `X` (hexadecimal) before the
//!             letter, as in Dovecot's pop3_uidl_format: `%08Xu%08Xv` is its default, `UID%u-%v` Courier's, `%v.%u` Cyrus'
//! Invariants  1 to 70 graphic octets whatever comes out of the format: else the default takes its place

/// What `dovecot` stands for.
const DEFAULT: &str = "%08Xu%08Xv";
/// Longest id, RFC 1939 7.
const MAX: usize = 70;

/// What an id can be made of.
pub struct Parts<'a> {
    /// The message's UID.
    pub uid: u32,
    /// The mailbox's UIDVALIDITY.
    pub validity: u32,
    /// The file name before its first comma or colon; asked for where the form holds it.
    pub name: &'a dyn Fn() -> String,
}

/// The id of a message in the form of the configuration's `pop3d.uidl`.
pub fn unique_id(form: &str, parts: &Parts<'_>) -> String {
    let format = match form {
        "dovecot" => DEFAULT,
        "name" => "%f",
        other => other,
    };
    let id = expand(format, parts);
    let fits = (1..=MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    if fits { id } else { expand(DEFAULT, parts) }
}

fn expand(format: &str, parts: &Parts<'_>) -> String {
    let mut out = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let spec: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == 'X').collect();
        rest = &rest[spec.len()..];
        let Some(letter) = rest.chars().next() else { break };
        rest = &rest[letter.len_utf8()..];
        match letter {
            'u' => out.push_str(&number(parts.uid, &spec)),
            'v' => out.push_str(&number(parts.validity, &spec)),
            'f' | 'g' => out.push_str(&(parts.name)()),
            other => out.push(other),
        }
    }
    out + rest
}

fn number(value: u32, spec: &str) -> String {
    let digits = spec.trim_end_matches('X');
    let width = digits.parse::<usize>().unwrap_or(0).min(MAX);
    let text = if spec.ends_with('X') { format!("{value:x}") } else { value.to_string() };
    let fill = if digits.starts_with('0') { '0' } else { ' ' };
    fill.to_string().repeat(width.saturating_sub(text.len())) + &text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_other_servers() {
        let parts = Parts { uid: 26, validity: 0x1234_abcd, name: &|| "17.M1P1.host".into() };
        for (form, want) in [
            ("dovecot", "0000001a1234abcd"),
            ("%08Xu%08Xv", "0000001a1234abcd"),
            ("UID%u-%v", "UID26-305441741"),
            ("%v.%u", "305441741.26"),
            ("%Xv-%Xu", "1234abcd-1a"),
            ("name", "17.M1P1.host"),
            ("%g", "17.M1P1.host"),
            ("100%%-%u", "100%-26"),
            // blanks, nothing, too much and an unfinished variable give no id
            ("%5u", "0000001a1234abcd"),
            ("", "0000001a1234abcd"),
            ("%099u", "0000000000000000000000000000000000000000000000000000000000000000000026"),
            ("%0999999999999999999999u", "26"),
            ("%u%099u", "0000001a1234abcd"),
            ("a%", "a"),
        ] {
            assert_eq!(unique_id(form, &parts), want, "{form}");
        }
    }
}
