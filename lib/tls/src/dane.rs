//! DANE: does the chain a host showed match its TLSA records?
//!
//! Standards   RFC 6698 2, RFC 7671 (usages, names, dates), RFC 7672 3.1 (which usages SMTP has)
//! Invariants  1. a match is believed only over records the caller got validated   2. usage 3 binds the key and
//!             nothing else: neither name nor date counts (RFC 7671 5.1)   3. usage 2 needs a chain of signatures to the
//!             matched certificate, a name that fits, and dates that hold   4. usages 0 and 1 are not usable for SMTP
//! Trust       chain and records are hostile bytes; OpenSSL parses the certificates

use openssl::hash::{MessageDigest, hash};
use openssl::stack::Stack;
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509StoreContext};

/// One TLSA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tlsa {
    /// 2 trust anchor, 3 end entity.
    pub usage: u8,
    /// 0 the certificate, 1 its public key.
    pub selector: u8,
    /// 0 as it is, 1 SHA-256, 2 SHA-512.
    pub matching: u8,
    /// What it has to be.
    pub data: Vec<u8>,
}

impl std::fmt::Display for Tlsa {
    /// As in a zone file.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        self.data.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl Tlsa {
    /// Whether SMTP can use the record (RFC 7672 3.1: usages 2 and 3, known selector and matching type).
    pub fn is_usable(&self) -> bool {
        let length_fits = match self.matching {
            0 => !self.data.is_empty(),
            1 => self.data.len() == 32,
            2 => self.data.len() == 64,
            _ => false,
        };
        matches!(self.usage, 2 | 3) && self.selector <= 1 && length_fits
    }

    fn matches(&self, certificate: &X509) -> bool {
        let selected = match self.selector {
            0 => certificate.to_der(),
            _ => certificate.public_key().and_then(|k| k.public_key_to_der()),
        };
        let Ok(selected) = selected else { return false };
        match self.matching {
            0 => selected == self.data,
            1 => hash(MessageDigest::sha256(), &selected).is_ok_and(|h| *h == *self.data),
            _ => hash(MessageDigest::sha512(), &selected).is_ok_and(|h| *h == *self.data),
        }
    }
}

/// Whether one of the records vouches for the chain (DER, the host's own first) under one of the names.
pub fn vouched(chain: &[Vec<u8>], records: &[Tlsa], names: &[&str]) -> bool {
    let parsed: Vec<X509> = chain.iter().filter_map(|der| X509::from_der(der).ok()).collect();
    let Some(leaf) = parsed.first() else { return false };
    records.iter().filter(|r| r.is_usable()).any(|r| match r.usage {
        3 => r.matches(leaf),
        _ => anchors(r, &parsed).iter().any(|a| names.iter().any(|n| chained(leaf, &parsed, a, n))),
    })
}

/// Certificates of the chain that the record means, and the one it holds itself (RFC 7671 5.2.2: a full certificate
/// need not be in the chain).
fn anchors(record: &Tlsa, chain: &[X509]) -> Vec<X509> {
    let mut found: Vec<X509> = chain.iter().filter(|c| record.matches(c)).cloned().collect();
    if record.selector == 0 && record.matching == 0 {
        found.extend(X509::from_der(&record.data));
    }
    found
}

/// Whether the leaf is signed, over the chain, by the anchor, bears the name, and all dates hold.
fn chained(leaf: &X509, chain: &[X509], anchor: &X509, name: &str) -> bool {
    let verify = || -> Result<bool, openssl::error::ErrorStack> {
        let mut param = X509VerifyParam::new()?;
        // the anchor need not be a root: partial chains end at it
        param.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
        param.set_host(name)?;
        let mut store = X509StoreBuilder::new()?;
        store.add_cert(anchor.clone())?;
        store.set_param(&param)?;
        let store = store.build();
        let mut between = Stack::new()?;
        for c in chain.iter().skip(1) {
            between.push(c.clone())?;
        }
        X509StoreContext::new()?.init(&store, leaf, &between, |context| context.verify_cert())
    };
    verify().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::asn1::Asn1Time;
    use openssl::bn::BigNum;
    use openssl::ec::{EcGroup, EcKey};
    use openssl::nid::Nid;
    use openssl::pkey::{PKey, Private};
    use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
    use openssl::x509::{X509Builder, X509NameBuilder};

    fn key() -> PKey<Private> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    }

    /// A certificate for `name`, signed by `issuer` or by itself; `days` may be past.
    fn certificate(name: &str, own: &PKey<Private>, issuer: Option<(&X509, &PKey<Private>)>, days: i64) -> X509 {
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut b = X509Builder::new().unwrap();
        b.set_version(2).unwrap();
        b.set_serial_number(&BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap()).unwrap();
        b.set_subject_name(&subject).unwrap();
        b.set_issuer_name(issuer.map_or(&subject, |(i, _)| i.subject_name())).unwrap();
        b.set_pubkey(own).unwrap();
        let at = |secs: i64| Asn1Time::from_unix(secs).unwrap();
        let now = penny_sys::time::now().as_secs() as i64;
        b.set_not_before(&at(now - 1_000_000)).unwrap();
        b.set_not_after(&at(now + days * 86_400)).unwrap();
        if issuer.is_none() {
            b.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        }
        let san =
            SubjectAlternativeName::new().dns(name).build(&b.x509v3_context(issuer.map(|(i, _)| &**i), None)).unwrap();
        b.append_extension(san).unwrap();
        b.sign(issuer.map_or(own, |(_, k)| k), MessageDigest::sha256()).unwrap();
        b.build()
    }

    fn record(usage: u8, selector: u8, matching: u8, certificate: &X509) -> Tlsa {
        let selected = if selector == 0 {
            certificate.to_der().unwrap()
        } else {
            certificate.public_key().unwrap().public_key_to_der().unwrap()
        };
        let data = match matching {
            0 => selected,
            1 => hash(MessageDigest::sha256(), &selected).unwrap().to_vec(),
            _ => hash(MessageDigest::sha512(), &selected).unwrap().to_vec(),
        };
        Tlsa { usage, selector, matching, data }
    }

    #[test]
    fn every_selector_and_matching_type_of_usage_3() {
        let (own, other) = (key(), key());
        // expired, and for another name: neither matters
        let leaf = certificate("old.test", &own, None, -1);
        let stranger = certificate("mx.test", &other, None, 10);
        let chain = [leaf.to_der().unwrap()];
        for selector in 0..=1 {
            for matching in 0..=2 {
                assert!(
                    vouched(&chain, &[record(3, selector, matching, &leaf)], &["mx.test"]),
                    "{selector} {matching}"
                );
                assert!(!vouched(&chain, &[record(3, selector, matching, &stranger)], &["old.test"]));
            }
        }
        let wrong_then_right = [record(3, 1, 1, &stranger), record(3, 1, 1, &leaf)];
        assert!(vouched(&chain, &wrong_then_right, &["mx.test"]), "one of several is enough (key rollover)");
    }

    #[test]
    fn usage_2_needs_chain_name_and_date() {
        let (ca_key, own) = (key(), key());
        let ca = certificate("ca.test", &ca_key, None, 10);
        let leaf = certificate("mx.test", &own, Some((&ca, &ca_key)), 10);
        let expired = certificate("mx.test", &own, Some((&ca, &ca_key)), -1);
        let fake = certificate("mx.test", &own, None, 10);
        let der = |list: &[&X509]| list.iter().map(|c| c.to_der().unwrap()).collect::<Vec<_>>();
        for matching in 0..=2 {
            let tlsa = [record(2, 0, matching, &ca)];
            assert!(vouched(&der(&[&leaf, &ca]), &tlsa, &["mx.test"]), "{matching}");
            assert!(!vouched(&der(&[&leaf, &ca]), &tlsa, &["other.test"]), "name");
            assert!(vouched(&der(&[&leaf, &ca]), &tlsa, &["other.test", "mx.test"]), "one of the names");
            assert!(!vouched(&der(&[&expired, &ca]), &tlsa, &["mx.test"]), "date");
            assert!(!vouched(&der(&[&fake, &ca]), &tlsa, &["mx.test"]), "the anchor only stands beside the chain");
        }
        assert!(
            vouched(&der(&[&leaf]), &[record(2, 0, 0, &ca)], &["mx.test"]),
            "a full record needs no anchor in the chain"
        );
        assert!(!vouched(&der(&[&leaf]), &[record(2, 0, 1, &ca)], &["mx.test"]));
    }

    #[test]
    fn what_smtp_cannot_use() {
        let own = key();
        let leaf = certificate("mx.test", &own, None, 10);
        let chain = [leaf.to_der().unwrap()];
        for (usage, selector, matching) in [(0, 0, 1), (1, 1, 1), (4, 0, 1)] {
            let r = record(usage, selector, matching, &leaf);
            assert!(!r.is_usable() && !vouched(&chain, &[r], &["mx.test"]));
        }
        for r in [
            Tlsa { usage: 3, selector: 2, matching: 1, data: vec![0; 32] },
            Tlsa { usage: 3, selector: 1, matching: 3, data: vec![0; 32] },
            Tlsa { usage: 3, selector: 1, matching: 1, data: vec![0; 31] },
            Tlsa { usage: 3, selector: 1, matching: 0, data: vec![] },
        ] {
            assert!(!r.is_usable(), "{r:?}");
        }
        assert!(!vouched(&[], &[record(3, 1, 1, &leaf)], &["mx.test"]));
        assert!(!vouched(&[b"garbage".to_vec()], &[record(3, 1, 1, &leaf)], &["mx.test"]));
    }
}
