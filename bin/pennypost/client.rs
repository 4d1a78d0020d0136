//! Files by which mail programs and other servers configure themselves, to be served by any web server.
//!
//! Standards   Mozilla's autoconfig 1.1; Microsoft's autodiscover (POX, 2006a); Apple's configuration profiles; RFC 8461 3.2
//! Places      STATE/www/DOMAIN/: `.well-known/autoconfig/mail/config-v1.1.xml` and `mail/config-v1.1.xml` (autoconfig.DOMAIN),
//!             `autodiscover/autodiscover.xml`, `DOMAIN.mobileconfig`, `.well-known/mta-sts.txt` (mta-sts.DOMAIN, https)

use crate::dns::facts::Facts;
use crate::setup::plan::Plan;
use crate::summary::escape as xml;
use penny_base::{Config, Failure};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Writes them all.
pub fn write(plan: &mut Plan, config: &Config, domain: &str, ips: &[IpAddr]) -> Result<(), Failure> {
    let facts = Facts::gather(config, domain, ips).or_else(|e| if plan.dry { bare(config, domain) } else { Err(e) })?;
    let base = config.paths.state.join("www").join(&facts.domain);
    let auto = autoconfig(&facts);
    plan.file(&base.join(".well-known/autoconfig/mail/config-v1.1.xml"), &auto, 0o644)?;
    plan.file(&base.join("mail/config-v1.1.xml"), &auto, 0o644)?;
    plan.file(&base.join("autodiscover/autodiscover.xml"), &autodiscover(&facts), 0o644)?;
    plan.file(&base.join(format!("{}.mobileconfig", facts.domain)), &mobileconfig(&facts), 0o644)?;
    plan.file(&base.join(".well-known/mta-sts.txt"), &facts.sts_policy(), 0o644)
}

/// What is known before anything was made.
fn bare(config: &Config, domain: &str) -> Result<Facts, Failure> {
    let mut config = config.clone();
    config.dkimsign.table = std::path::PathBuf::new();
    Facts::gather(&config, domain, &[])
}

/// Protocol, host side, TLS words: in the order clients should try.
const ORDER: [(&str, bool); 6] =
    [("imap", true), ("imap", false), ("pop3", true), ("pop3", false), ("submission", true), ("submission", false)];

fn offered(facts: &Facts) -> impl Iterator<Item = (&'static str, bool, u16)> + '_ {
    ORDER.iter().filter_map(|(name, implicit)| Some((*name, *implicit, facts.port(name, *implicit)?)))
}

/// Thunderbird, K-9, Evolution.
fn autoconfig(f: &Facts) -> String {
    let (domain, host) = (xml(&f.domain), xml(&f.host));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n  <emailProvider id=\"{domain}\">\n    \
         <domain>{domain}</domain>\n    <displayName>{domain}</displayName>\n    <displayShortName>{domain}</displayShortName>\n"
    );
    for (name, implicit, port) in offered(f) {
        let (tag, kind) = if name == "submission" { ("outgoingServer", "smtp") } else { ("incomingServer", name) };
        let socket = if implicit { "SSL" } else { "STARTTLS" };
        let _ = write!(
            out,
            "    <{tag} type=\"{kind}\">\n      <hostname>{host}</hostname>\n      <port>{port}</port>\n      \
             <socketType>{socket}</socketType>\n      <authentication>password-cleartext</authentication>\n      \
             <username>%EMAILADDRESS%</username>\n    </{tag}>\n"
        );
    }
    out + "  </emailProvider>\n</clientConfig>\n"
}

/// Outlook. The address is the login, which Outlook assumes when none is named.
fn autodiscover(f: &Facts) -> String {
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
         <Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006\">\n  \
         <Response xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\">\n    \
         <Account>\n      <AccountType>email</AccountType>\n      <Action>settings</Action>\n",
    );
    let mut seen = Vec::new();
    for (name, implicit, port) in offered(f) {
        if seen.contains(&name) {
            continue; // one way each: the first is the best
        }
        seen.push(name);
        let kind = if name == "submission" { "SMTP".to_string() } else { name.to_uppercase() };
        let encryption = if implicit { "SSL" } else { "TLS" };
        let _ = write!(
            out,
            "      <Protocol>\n        <Type>{kind}</Type>\n        <Server>{}</Server>\n        <Port>{port}</Port>\n        \
             <DomainRequired>off</DomainRequired>\n        <SPA>off</SPA>\n        <SSL>on</SSL>\n        \
             <Encryption>{encryption}</Encryption>\n        <AuthRequired>on</AuthRequired>\n      </Protocol>\n",
            xml(&f.host)
        );
    }
    out + "    </Account>\n  </Response>\n</Autodiscover>\n"
}

/// iOS and macOS: asks for the address and password when it is installed.
fn mobileconfig(f: &Facts) -> String {
    let (domain, host) = (xml(&f.domain), xml(&f.host));
    let string = |key: &str, value: &str| format!("      <key>{key}</key>\n      <string>{value}</string>\n");
    let boolean = |key: &str, value: bool| format!("      <key>{key}</key>\n      <{value}/>\n");
    let number = |key: &str, value: u16| format!("      <key>{key}</key>\n      <integer>{value}</integer>\n");
    let mut account = string("EmailAccountType", "EmailTypeIMAP") + &string("EmailAccountDescription", &domain);
    for (side, name) in [("Incoming", "imap"), ("Outgoing", "submission")] {
        let Some(port) = f.port(name, true).or_else(|| f.port(name, false)) else { continue };
        account += &string(&format!("{side}MailServerAuthentication"), "EmailAuthPassword");
        account += &string(&format!("{side}MailServerHostName"), &host);
        account += &number(&format!("{side}MailServerPortNumber"), port);
        account += &boolean(&format!("{side}MailServerUseSSL"), true);
    }
    account += &boolean("OutgoingPasswordSameAsIncomingPassword", true);
    account += &string("PayloadType", "com.apple.mail.managed");
    account += &string("PayloadIdentifier", &format!("{domain}.pennypost.mail"));
    account += &string("PayloadUUID", &uuid(&format!("{domain} mail")));
    account += "      <key>PayloadVersion</key>\n      <integer>1</integer>\n";
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n<dict>\n  <key>PayloadContent</key>\n  <array>\n    <dict>\n{account}    </dict>\n  </array>\n  \
         <key>PayloadDisplayName</key>\n  <string>Mail of {domain}</string>\n  <key>PayloadIdentifier</key>\n  \
         <string>{domain}.pennypost</string>\n  <key>PayloadType</key>\n  <string>Configuration</string>\n  \
         <key>PayloadUUID</key>\n  <string>{}</string>\n  <key>PayloadVersion</key>\n  <integer>1</integer>\n</dict>\n</plist>\n",
        uuid(&domain)
    )
}

/// A UUID that is the same each time (RFC 9562 5.8), so that a profile installed again replaces itself.
fn uuid(name: &str) -> String {
    use sha2::Digest;
    let mut b: Vec<u8> = sha2::Sha256::digest(format!("pennypost {name}").as_bytes()).to_vec();
    b[6] = b[6] & 0x0f | 0x80;
    b[8] = b[8] & 0x3f | 0x80;
    let hex: String = b.iter().take(16).map(|b| format!("{b:02X}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
}
