//! Certificates as an admin sees them: what one says, and a self-signed one to start with.
//!
//! Standards   RFC 5280; RFC 6698 3.1.1 and RFC 7671 5.1 (the digest DANE publishes)
//! Failures    text with the file that is wrong

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::{MessageDigest, hash};
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use std::path::Path;

/// What the first certificate of a chain says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// DNS names it is for.
    pub names: Vec<String>,
    /// Seconds from now until it expires; negative when it has.
    pub left: i64,
    /// It vouches for itself: nobody who checks will believe it, except by DANE.
    pub self_signed: bool,
    /// SHA-256 of the public key: the data of a `3 1 1` TLSA record.
    pub key_digest: Vec<u8>,
}

impl Facts {
    /// Whether it is for this host (RFC 6125 6.4: exact, or a wildcard in the leftmost label).
    pub fn is_for(&self, host: &str) -> bool {
        let wild = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        self.names
            .iter()
            .any(|n| n.eq_ignore_ascii_case(host) || wild.as_ref().is_some_and(|w| n.eq_ignore_ascii_case(w)))
    }
}

/// Reads a PEM chain.
pub fn facts(file: &Path) -> Result<Facts, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let pem = std::fs::read(file).map_err(|e| wrong(&e))?;
    let certificate = X509::from_pem(&pem).map_err(|_| wrong(&"no certificate in it"))?;
    read(&certificate).map_err(|e| wrong(&e))
}

/// Reads one certificate in DER, such as a server shows.
pub fn facts_of(der: &[u8]) -> Result<Facts, String> {
    X509::from_der(der).and_then(|certificate| read(&certificate)).map_err(|e| e.to_string())
}

/// The first certificate of a PEM chain, in DER.
pub fn der(file: &Path) -> Result<Vec<u8>, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let pem = std::fs::read(file).map_err(|e| wrong(&e))?;
    X509::from_pem(&pem).and_then(|certificate| certificate.to_der()).map_err(|_| wrong(&"no certificate in it"))
}

fn read(certificate: &X509) -> Result<Facts, openssl::error::ErrorStack> {
    let now = Asn1Time::days_from_now(0)?;
    let diff = now.diff(certificate.not_after())?;
    let key = certificate.public_key()?;
    let issued = certificate.issuer_name().try_cmp(certificate.subject_name())?.is_eq();
    let names = certificate.subject_alt_names();
    Ok(Facts {
        names: names.iter().flatten().filter_map(|n| n.dnsname().map(str::to_string)).collect(),
        left: i64::from(diff.days) * 86400 + i64::from(diff.secs),
        self_signed: issued && certificate.verify(&key)?,
        key_digest: hash(MessageDigest::sha256(), &key.public_key_to_der()?)?.to_vec(),
    })
}

/// Whether the private key belongs to the certificate.
pub fn fits(certificate: &Path, key: &Path) -> Result<bool, String> {
    let read = |p: &Path| std::fs::read(p).map_err(|e| format!("{}: {e}", p.display()));
    let certificate = X509::from_pem(&read(certificate)?).map_err(|e| format!("{}: {e}", certificate.display()))?;
    let private = PKey::private_key_from_pem(&read(key)?).map_err(|_| format!("{}: no private key", key.display()))?;
    Ok(certificate.public_key().is_ok_and(|public| public.public_eq(&private)))
}

/// A new P-256 key and a certificate that vouches for itself: PEM of the certificate, PEM of the key.
pub fn self_signed(names: &[&str], days: u32) -> Result<(Vec<u8>, Vec<u8>), String> {
    make(names, days).map_err(|e| e.to_string())
}

fn make(names: &[&str], days: u32) -> Result<(Vec<u8>, Vec<u8>), openssl::error::ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", names.first().copied().unwrap_or("localhost"))?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(159, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::days_from_now(days)?.as_ref())?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let mut alternative = SubjectAlternativeName::new();
    names.iter().for_each(|n| {
        alternative.dns(n);
    });
    let alternative = alternative.build(&builder.x509v3_context(None, None))?;
    builder.append_extension(alternative)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((builder.build().to_pem()?, key.private_key_to_pem_pkcs8()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_read() {
        let dir = std::env::temp_dir().join(format!("penny-cert-{:x}", penny_sys::random::u64()));
        std::fs::create_dir(&dir).unwrap();
        let (pem, key) = self_signed(&["mx.example.test", "*.example.test"], 30).unwrap();
        std::fs::write(dir.join("c"), pem).unwrap();
        std::fs::write(dir.join("k"), key).unwrap();
        let f = facts(&dir.join("c")).unwrap();
        assert!(
            f.self_signed && f.is_for("MX.example.test") && f.is_for("a.example.test") && !f.is_for("example.test")
        );
        assert!((29 * 86400..=30 * 86400).contains(&f.left), "{}", f.left);
        assert_eq!(f.key_digest.len(), 32);
        let shown = facts_of(&der(&dir.join("c")).unwrap()).unwrap();
        assert_eq!((shown.names, shown.key_digest), (f.names, f.key_digest));
        assert!(facts_of(b"nothing").is_err() && der(&dir.join("k")).unwrap_err().contains("no certificate"));
        assert_eq!(fits(&dir.join("c"), &dir.join("k")), Ok(true));
        std::fs::write(dir.join("k"), self_signed(&["x"], 1).unwrap().1).unwrap();
        assert_eq!(fits(&dir.join("c"), &dir.join("k")), Ok(false));
        assert!(facts(&dir.join("k")).unwrap_err().contains("no certificate"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
