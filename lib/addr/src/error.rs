//! Why an address or parameter was refused. The texts are fixed, so they are safe to show to any peer.

/// A reason to refuse an address or an ESMTP parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddrError {
    /// Not UTF-8, or a control character.
    BadOctet,
    /// UTF-8 where only ASCII is allowed (no SMTPUTF8 in the transaction).
    NeedsSmtpUtf8,
    /// The path does not follow the grammar.
    Syntax,
    /// The local part does not follow the grammar.
    LocalSyntax,
    /// The domain does not follow the grammar.
    DomainSyntax,
    /// The domain is not a valid internationalised name.
    Idna,
    /// An address literal that is neither IPv4 nor `IPv6:`.
    Literal,
    /// Longer than the protocol allows.
    TooLong,
    /// There is no domain.
    NoDomain,
    /// An ESMTP parameter this server does not know.
    UnknownParam,
    /// An ESMTP parameter given twice.
    DuplicateParam,
    /// An ESMTP parameter with a value it cannot have.
    ParamValue(&'static str),
}

impl AddrError {
    /// The RFC 3463 status, for an address of the sender (`true`) or of a recipient.
    pub fn status(self, sender: bool) -> &'static str {
        match self {
            Self::NeedsSmtpUtf8 => "5.6.7",
            Self::UnknownParam | Self::DuplicateParam | Self::ParamValue(_) => "5.5.4",
            Self::DomainSyntax | Self::Idna | Self::Literal | Self::NoDomain if !sender => "5.1.2",
            _ if sender => "5.1.7",
            _ => "5.1.3",
        }
    }

    /// The RFC 5321 reply code: 555 for an unknown parameter (4.1.1.11), 553 for UTF-8 without
    /// SMTPUTF8 (RFC 6531 3.5), 501 for syntax.
    pub fn code(self) -> u16 {
        match self {
            Self::UnknownParam => 555,
            Self::NeedsSmtpUtf8 => 553,
            _ => 501,
        }
    }

    /// One line for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::BadOctet => "control character or invalid UTF-8 in the address",
            Self::NeedsSmtpUtf8 => "the address needs SMTPUTF8",
            Self::Syntax => "bad address syntax",
            Self::LocalSyntax => "bad syntax in the local part",
            Self::DomainSyntax => "bad syntax in the domain",
            Self::Idna => "not a valid internationalised domain name",
            Self::Literal => "bad address literal",
            Self::TooLong => "address too long",
            Self::NoDomain => "the address has no domain",
            Self::UnknownParam => "parameter not recognised",
            Self::DuplicateParam => "parameter given twice",
            Self::ParamValue(text) => text,
        }
    }
}

impl std::fmt::Display for AddrError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for AddrError {}
