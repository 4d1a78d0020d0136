//! Content-Type, Content-Disposition and Content-Transfer-Encoding.
//!
//! Standards   RFC 2045 5 and 6, RFC 2046, RFC 2183; defaults of RFC 2045 5.2
//! Failures    a type that does not parse is `text/plain` in an unmarked message and opaque data for an unknown encoding
use crate::param::{Params, value_and_params};
use crate::{base64, qp};

/// A media type with its parameters; names as written, compare with the `is_` methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// The top-level type.
    pub kind: Vec<u8>,
    /// The subtype.
    pub sub: Vec<u8>,
    /// The parameters.
    pub params: Params,
}

impl ContentType {
    /// Reads the value of a field; `None` when it holds no `type/subtype`.
    pub fn parse(field: &[u8]) -> Option<Self> {
        let (value, params) = value_and_params(field);
        let slash = value.iter().position(|&b| b == b'/')?;
        let (kind, sub) = (value[..slash].to_vec(), value[slash + 1..].to_vec());
        (!kind.is_empty() && !sub.is_empty()).then_some(ContentType { kind, sub, params })
    }

    /// A type without parameters.
    pub fn new(kind: &str, sub: &str) -> Self {
        ContentType { kind: kind.into(), sub: sub.into(), params: Params::default() }
    }

    /// Tells whether this is the given type, in any letter case.
    pub fn is(&self, kind: &str, sub: &str) -> bool {
        self.is_kind(kind) && self.sub.eq_ignore_ascii_case(sub.as_bytes())
    }

    /// Tells whether the top-level type is the given one.
    pub fn is_kind(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
    }

    /// A message inside a message: `message/rfc822` or `message/global` (RFC 6532 3.7).
    pub fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is("message", "global")
    }

    /// The boundary of a multipart (RFC 2046 5.1.1); longer than [`BOUNDARY_MAX`] counts as none.
    pub fn boundary(&self) -> Option<&[u8]> {
        self.params.plain("boundary").map(crate::header::trim_end).filter(|b| !b.is_empty() && b.len() <= BOUNDARY_MAX)
    }

    /// The charset parameter, or what RFC 2046 4.1.2 says when there is none.
    pub fn charset(&self) -> &[u8] {
        self.params.plain("charset").unwrap_or(b"us-ascii")
    }
}

/// RFC 2046 5.1.1 allows 70; real mailers go beyond.
pub const BOUNDARY_MAX: usize = 1000;

/// How a part wants to be shown (RFC 2183).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    /// `attachment`, `inline` or another word, as written.
    pub kind: Vec<u8>,
    /// The parameters.
    pub params: Params,
}

impl Disposition {
    /// Reads the value of a field; `None` when it is empty.
    pub fn parse(field: &[u8]) -> Option<Self> {
        let (kind, params) = value_and_params(field);
        (!kind.is_empty()).then_some(Disposition { kind, params })
    }

    /// True for `attachment`.
    pub fn is_attachment(&self) -> bool {
        self.kind.eq_ignore_ascii_case(b"attachment")
    }
}

/// How a body is encoded for transport (RFC 2045 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// 7bit, 8bit or binary: the bytes as they are.
    #[default]
    Identity,
    /// Quoted-printable.
    QuotedPrintable,
    /// Base64.
    Base64,
    /// Anything else: not to be decoded, to be treated as opaque (RFC 2045 6.4).
    Unknown,
}

impl Encoding {
    /// Reads the value of a field.
    pub fn parse(field: &[u8]) -> Self {
        let word = value_and_params(field).0.to_ascii_lowercase();
        match word.as_slice() {
            b"7bit" | b"8bit" | b"binary" | b"" => Encoding::Identity,
            b"quoted-printable" => Encoding::QuotedPrintable,
            b"base64" => Encoding::Base64,
            _ => Encoding::Unknown,
        }
    }

    /// Undoes the encoding; unknown ones give the bytes back.
    pub fn decode(self, body: &[u8]) -> Vec<u8> {
        match self {
            Encoding::Base64 => base64::decode(body),
            Encoding::QuotedPrintable => qp::decode(body),
            Encoding::Identity | Encoding::Unknown => body.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let t = ContentType::parse(b"Text / HTML; Charset=\"UTF-8\"").unwrap();
        assert!(t.is("text", "html"));
        assert_eq!(t.charset(), b"UTF-8");
        assert!(
            ContentType::parse(b"text").is_none()
                && ContentType::parse(b"/x").is_none()
                && ContentType::parse(b"").is_none()
        );
        assert_eq!(ContentType::parse(b"multipart/mixed; boundary=\"a b \"").unwrap().boundary().unwrap(), b"a b");
        assert_eq!(ContentType::parse(b"multipart/mixed; boundary==_x?=y").unwrap().boundary().unwrap(), b"=_x?=y");
        let long = format!("multipart/mixed; boundary={}", "x".repeat(BOUNDARY_MAX + 1));
        assert!(ContentType::parse(long.as_bytes()).unwrap().boundary().is_none());
    }

    #[test]
    fn dispositions_and_encodings() {
        let d = Disposition::parse(b"ATTACHMENT; filename*=utf-8''%C3%A4").unwrap();
        assert!(d.is_attachment());
        assert_eq!(d.params.decoded("filename").unwrap(), "ä");
        assert_eq!(Encoding::parse(b" Base64 (x)"), Encoding::Base64);
        assert_eq!(Encoding::parse(b"x-uuencode"), Encoding::Unknown);
        assert_eq!(Encoding::parse(b"8BIT"), Encoding::Identity);
        assert_eq!(Encoding::QuotedPrintable.decode(b"=41"), b"A");
    }
}
