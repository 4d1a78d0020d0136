//! What EHLO announces, and so what MAIL and RCPT may ask for.
//!
//! Standards   RFC 5321 4.1.1.1; each keyword's own RFC
//! Invariants  a parameter of an extension that was not announced is refused like an unknown one (RFC 5321 4.1.1.11)

use penny_addr::{AddrError, Body, MailParams, RcptParams};

/// The announced extensions.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// SIZE with this limit; 0 announces no fixed limit (RFC 1870 4).
    pub size: u64,
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// AUTH with these mechanisms (RFC 4954); none: AUTH is not announced.
    pub auth: Vec<String>,
    /// SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// DSN (RFC 3461).
    pub dsn: bool,
    /// CHUNKING (RFC 3030).
    pub chunking: bool,
    /// BINARYMIME (RFC 3030), only with CHUNKING.
    pub binarymime: bool,
    /// REQUIRETLS (RFC 8689): only to be set when TLS is active.
    pub requiretls: bool,
    /// LIMITS RCPTMAX (RFC 9422); 0: not announced.
    pub rcpt_max: usize,
    /// LIMITS MAILMAX (RFC 9422); 0: not announced.
    pub mail_max: usize,
    /// FUTURERELEASE with the longest interval in seconds and the latest date (RFC 4865); 0: not announced.
    pub hold_max: u32,
    /// The latest date for FUTURERELEASE, RFC 3339.
    pub hold_until: String,
    /// DELIVERBY with the least seconds taken (RFC 2852).
    pub deliverby: Option<u32>,
    /// MT-PRIORITY (RFC 6710).
    pub mt_priority: bool,
    /// XCLIENT with these attributes.
    pub xclient: Vec<&'static str>,
    /// XFORWARD with these attributes.
    pub xforward: Vec<&'static str>,
}

impl Offer {
    /// The keyword lines after the greeting line.
    pub fn keywords(&self) -> Vec<String> {
        let mut lines = vec!["PIPELINING".to_owned(), self.size_line(), "8BITMIME".to_owned()];
        let flags = [
            (self.smtputf8, "SMTPUTF8"),
            (true, "ENHANCEDSTATUSCODES"),
            (self.dsn, "DSN"),
            (self.chunking, "CHUNKING"),
            (self.chunking && self.binarymime, "BINARYMIME"),
            (self.starttls, "STARTTLS"),
            (self.requiretls, "REQUIRETLS"),
            (self.mt_priority, "MT-PRIORITY"),
        ];
        lines.extend(flags.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()));
        lines.extend(self.valued());
        lines.push("HELP".to_owned());
        lines
    }

    fn size_line(&self) -> String {
        if self.size > 0 { format!("SIZE {}", self.size) } else { "SIZE".to_owned() }
    }

    fn valued(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.auth.is_empty() {
            lines.push(format!("AUTH {}", self.auth.join(" ")));
        }
        let limits = [("MAILMAX", self.mail_max), ("RCPTMAX", self.rcpt_max)];
        let limits: String = limits.iter().filter(|l| l.1 > 0).map(|(key, n)| format!(" {key}={n}")).collect();
        if !limits.is_empty() {
            lines.push(format!("LIMITS{limits}"));
        }
        if self.hold_max > 0 {
            lines.push(format!("FUTURERELEASE {} {}", self.hold_max, self.hold_until));
        }
        if let Some(least) = self.deliverby {
            lines.push(if least > 0 { format!("DELIVERBY {least}") } else { "DELIVERBY".to_owned() });
        }
        for (word, names) in [("XCLIENT", &self.xclient), ("XFORWARD", &self.xforward)] {
            if !names.is_empty() {
                lines.push(format!("{word} {}", names.join(" ")));
            }
        }
        lines
    }

    /// Whether MAIL may carry these parameters.
    pub fn allows_mail(&self, params: &MailParams) -> Result<(), AddrError> {
        let asked = [
            (params.smtputf8, self.smtputf8),
            (params.body == Some(Body::Binary), self.chunking && self.binarymime),
            (params.ret.is_some() || params.envid.is_some(), self.dsn),
            (params.requiretls, self.requiretls),
            (params.hold.is_some(), self.hold_max > 0),
            (params.by.is_some(), self.deliverby.is_some()),
            (params.mt_priority.is_some(), self.mt_priority),
        ];
        refused_param(&asked)
    }

    /// Whether RCPT may carry these parameters.
    pub fn allows_rcpt(&self, params: &RcptParams) -> Result<(), AddrError> {
        refused_param(&[(params.notify.is_some() || params.orcpt.is_some(), self.dsn)])
    }
}

/// An error when something was asked that is not offered.
pub fn refused_param(asked: &[(bool, bool)]) -> Result<(), AddrError> {
    if asked.iter().any(|&(asked, offered)| asked && !offered) { Err(AddrError::UnknownParam) } else { Ok(()) }
}
