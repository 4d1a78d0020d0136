//! The extensions this engine knows.
//!
//! Standards   IANA "Sieve Extensions"; each name with its RFC

/// Name of an extension and where it is specified.
#[derive(Debug, Clone, Copy)]
pub struct Extension {
    /// The capability string.
    pub name: &'static str,
    /// The document.
    pub standard: &'static str,
    /// Only where the administrator switched it on.
    pub optional: bool,
}

const fn ext(name: &'static str, standard: &'static str) -> Extension {
    Extension { name, standard, optional: false }
}

const fn optional(name: &'static str, standard: &'static str) -> Extension {
    Extension { name, standard, optional: true }
}

/// All of them.
pub const EXTENSIONS: &[Extension] = &[
    ext("fileinto", "RFC 5228 4.1"),
    ext("envelope", "RFC 5228 5.4"),
    ext("encoded-character", "RFC 5228 2.4.2.4"),
    ext("comparator-i;octet", "RFC 5228 2.7.3"),
    ext("comparator-i;ascii-casemap", "RFC 5228 2.7.3"),
    ext("comparator-i;ascii-numeric", "RFC 4790 9.1"),
    ext("comparator-i;unicode-casemap", "RFC 5051"),
    ext("copy", "RFC 3894"),
    ext("body", "RFC 5173"),
    ext("environment", "RFC 5183"),
    ext("variables", "RFC 5229"),
    ext("vacation", "RFC 5230"),
    ext("vacation-seconds", "RFC 6131"),
    ext("relational", "RFC 5231"),
    ext("imap4flags", "RFC 5232"),
    ext("subaddress", "RFC 5233"),
    ext("spamtest", "RFC 5235"),
    ext("spamtestplus", "RFC 5235"),
    ext("virustest", "RFC 5235"),
    ext("date", "RFC 5260"),
    ext("index", "RFC 5260"),
    ext("editheader", "RFC 5293"),
    ext("reject", "RFC 5429"),
    ext("ereject", "RFC 5429"),
    ext("enotify", "RFC 5435"),
    ext("ihave", "RFC 5463"),
    ext("mailbox", "RFC 5490"),
    ext("mboxmetadata", "RFC 5490"),
    ext("servermetadata", "RFC 5490"),
    ext("foreverypart", "RFC 5703"),
    ext("mime", "RFC 5703"),
    ext("extracttext", "RFC 5703"),
    ext("replace", "RFC 5703"),
    ext("enclose", "RFC 5703"),
    ext("envelope-dsn", "RFC 6009"),
    ext("redirect-dsn", "RFC 6009"),
    ext("envelope-deliverby", "RFC 6009"),
    ext("redirect-deliverby", "RFC 6009"),
    ext("extlists", "RFC 6134"),
    ext("include", "RFC 6609"),
    optional("imapsieve", "RFC 6785"),
    ext("duplicate", "RFC 7352"),
    ext("special-use", "RFC 8579"),
    ext("fcc", "RFC 8580"),
    ext("mailboxid", "RFC 9042"),
    ext("regex", "draft-murchison-sieve-regex"),
    optional("vnd.dovecot.pipe", "spec-bosch-sieve-extprograms"),
    optional("vnd.dovecot.filter", "spec-bosch-sieve-extprograms"),
    optional("vnd.dovecot.execute", "spec-bosch-sieve-extprograms"),
    ext("vnd.dovecot.debug", "spec-bosch-sieve-debug"),
    ext("vnd.dovecot.environment", "spec-bosch-sieve-dovecot-environment"),
    ext("vnd.dovecot.report", "spec-bosch-sieve-report"),
    optional("vnd.dovecot.testsuite", "commands of a test suite"),
];

/// Looks an extension up by its capability string.
pub fn find(name: &str) -> Option<&'static Extension> {
    EXTENSIONS.iter().find(|e| e.name == name)
}

/// Extensions that come with another one.
pub(crate) fn implied(name: &str) -> &'static [&'static str] {
    match name {
        // RFC 5232 and 5260 stand alone; RFC 6131 1 and RFC 5235 2 build on another
        "vacation-seconds" => &["vacation"],
        "spamtestplus" => &["spamtest"],
        "vnd.dovecot.environment" => &["environment"],
        _ => &[],
    }
}
