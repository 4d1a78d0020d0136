//! Mails that carry reports: headers and parts.
//!
//! Standards   RFC 5322, 2046 (multipart), 3834 (Auto-Submitted)
//! Invariants  no octet from outside reaches a header field but domains and ids, which hold no line ends

use penny_mime::base64::encode_lines;
use penny_mime::date::DateTime;

/// One body part.
#[derive(Clone, Debug)]
pub struct Part {
    /// Content-Type with parameters.
    pub kind: String,
    /// File name of an attachment.
    pub name: Option<String>,
    /// The octets; those of text types go as they are, others in base64.
    pub data: Vec<u8>,
}

/// A mail to be written.
#[derive(Clone, Debug)]
pub struct Mail<'a> {
    /// Sender.
    pub from: &'a str,
    /// Recipients.
    pub to: &'a [String],
    /// Subject.
    pub subject: &'a str,
    /// Unique id, without angle brackets.
    pub id: &'a str,
    /// Seconds since 1970.
    pub now: u64,
    /// Content-Type of the whole, without boundary.
    pub kind: &'a str,
    /// Further header fields, each ended by LF.
    pub fields: &'a str,
}

impl Mail<'_> {
    /// The message with LF line ends. `boundary` has to be unguessable: foreign header lines may stand in a part.
    pub fn write(&self, parts: &[Part], boundary: &str) -> Vec<u8> {
        let date = DateTime::from_unix(i64::try_from(self.now).unwrap_or(0), 0).rfc5322();
        let mut out = format!(
            "From: {}\nTo: {}\nSubject: {}\nDate: {date}\nMessage-ID: <{}>\nAuto-Submitted: auto-generated\n{}\
             MIME-Version: 1.0\nContent-Type: {}; boundary=\"{boundary}\"\n",
            self.from,
            self.to.join(",\n "),
            self.subject,
            self.id,
            self.fields,
            self.kind
        )
        .into_bytes();
        for part in parts {
            out.extend_from_slice(format!("\n--{boundary}\n").as_bytes());
            part.write(&mut out);
        }
        out.extend_from_slice(format!("\n--{boundary}--\n").as_bytes());
        out
    }
}

impl Part {
    fn write(&self, out: &mut Vec<u8>) {
        let mut head = format!("Content-Type: {}\n", self.kind);
        if let Some(name) = &self.name {
            head += &format!("Content-Disposition: attachment; filename=\"{name}\"\n");
        }
        let text = self.kind.starts_with("text/") || self.kind.starts_with("message/");
        if !text {
            head += "Content-Transfer-Encoding: base64\n";
        }
        out.extend_from_slice(head.as_bytes());
        out.push(b'\n');
        if text {
            out.extend_from_slice(&self.data);
        } else {
            out.extend_from_slice(encode_lines(&self.data, "\n").as_bytes());
        }
    }
}

/// The address of a mailto URI; one that could be an option or hold several is none.
pub fn mailto(uri: &str) -> Option<&str> {
    let address = uri.strip_prefix("mailto:")?.split('?').next()?;
    let (local, domain) = address.rsplit_once('@')?;
    let plain = |c: char| c.is_ascii_graphic() && !",;:<>()[]\"\\".contains(c);
    let good = !local.is_empty() && !local.starts_with('-') && address.chars().all(plain) && !domain.is_empty();
    good.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_uris() {
        assert_eq!(mailto("mailto:a@b.example"), Some("a@b.example"));
        assert_eq!(mailto("mailto:a@b.example?subject=x"), Some("a@b.example"));
        for bad in ["https://x", "mailto:", "mailto:a", "mailto:-f@b", "mailto:a@b,c@d", "mailto:a@b\nx", "mailto:@b"] {
            assert_eq!(mailto(bad), None, "{bad}");
        }
    }
}
