//! master.cf: which services listen, and with which settings of their own.
//!
//! Format      master(5): name, type, five columns, a command with `-o name=value` or `-o { name = value }`; a line that
//!             begins with white space continues the one before

use super::maincf::MainCf;
use super::{Import, bracketed};

/// One service.
#[derive(Debug, PartialEq, Eq)]
pub struct Service {
    /// First column.
    pub name: String,
    /// `inet`, `unix`, `pass`, `fifo`.
    pub kind: String,
    /// The program.
    pub command: String,
    /// Its `-o` settings.
    pub options: Vec<(String, String)>,
}

/// Reads the file.
pub fn parse(text: &str) -> Vec<Service> {
    penny_tables::lines::logical(text).iter().filter_map(|l| service(&l.text)).collect()
}

fn service(line: &str) -> Option<Service> {
    let mut words = line.split_whitespace();
    let (name, kind) = (words.next()?.to_string(), words.next()?.to_string());
    let command = words.nth(5)?.to_string();
    let mut options = Vec::new();
    while let Some(word) = words.next() {
        let option = match word.strip_prefix("-o") {
            Some("") => words.next().unwrap_or(""),
            Some(glued) => glued,
            None => continue,
        };
        let whole = if option == "{" {
            words.by_ref().take_while(|w| *w != "}").collect::<Vec<_>>().join(" ")
        } else if let Some(open) = option.strip_prefix('{') {
            let rest = words.by_ref().take_while(|w| !w.ends_with('}')).collect::<Vec<_>>().join(" ");
            format!("{open} {rest}")
        } else {
            option.to_string()
        };
        if let Some((name, value)) = whole.split_once('=') {
            options.push((name.trim().to_string(), value.trim().trim_end_matches('}').trim().to_string()));
        }
    }
    Some(Service { name, kind, command, options })
}

/// Settings of a listening service that we have anyway, or that its role means.
const MEANT: [&str; 15] = [
    "syslog_name",
    "smtpd_tls_security_level",
    "smtpd_tls_wrappermode",
    "smtpd_tls_auth_only",
    "smtpd_sasl_auth_enable",
    "smtpd_sasl_type",
    "smtpd_sasl_path",
    "smtpd_reject_unlisted_recipient",
    "smtpd_client_restrictions",
    "smtpd_helo_restrictions",
    "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",
    "smtpd_recipient_restrictions",
    "milter_macro_daemon_name",
    "smtpd_delay_reject",
];

/// What such restrictions may hold without saying anything of their own.
const PLAIN: [&str; 7] = [
    "permit_sasl_authenticated",
    "permit_mynetworks",
    "reject",
    "permit",
    "reject_unauth_destination",
    "reject_sender_login_mismatch",
    "reject_authenticated_sender_login_mismatch",
];

/// Takes the services that listen; `conf` has the addresses.
pub fn take(import: &mut Import<'_>, conf: &MainCf, services: &[Service]) {
    for service in services.iter().filter(|s| s.kind == "inet") {
        match service.command.as_str() {
            "smtpd" | "postscreen" => listening(import, conf, service),
            other => import.lost(format!("master.cf: {} runs {other}", service.name)),
        }
    }
    // the shipped file has many of these that nobody uses: only those that main.cf names are missed
    let all: Vec<(&str, String)> = conf.each().collect();
    for service in services.iter().filter(|s| s.command == "pipe") {
        let named = |v: &str| super::words(v).any(|w| w.split(':').next() == Some(service.name.as_str()));
        if let Some((parameter, _)) = all.iter().find(|(_, v)| named(v)) {
            import.lost(format!("{parameter}: the pipe {} of master.cf: an alias or a delivery rule", service.name));
        }
    }
}

fn listening(import: &mut Import<'_>, conf: &MainCf, service: &Service) {
    let option = |name: &str| service.options.iter().find(|(n, _)| n == name).map(|(_, v)| conf.expand(v));
    let (host, port) = service.name.rsplit_once(':').unwrap_or(("", &service.name));
    let port = match port {
        "smtp" => "25",
        "submission" => "587",
        "smtps" | "submissions" => "465",
        number => number,
    };
    if port.parse::<u16>().is_err() {
        return import.lost(format!("master.cf: {} is no port we know", service.name));
    }
    let login = option("smtpd_sasl_auth_enable").is_some_and(|v| v == "yes");
    let role = if login || matches!(port, "587" | "465") { "submission" } else { "mx" };
    let name = match port {
        "25" => "smtp".to_string(),
        "587" => "submission".into(),
        "465" => "submissions".into(),
        other => format!("smtp-{other}"),
    };
    let level = option("smtpd_tls_security_level").unwrap_or_else(|| conf.get("smtpd_tls_security_level"));
    let tls = match option("smtpd_tls_wrappermode").unwrap_or_else(|| conf.get("smtpd_tls_wrappermode")).as_str() {
        "yes" => "tls = \"implicit\"\n",
        _ if level == "none" => "tls = \"none\"\n",
        _ => "",
    };
    let addresses = if host.is_empty() { interfaces(conf) } else { vec![host.to_string()] };
    let several = addresses.len() > 1;
    for (n, address) in addresses.iter().enumerate() {
        let name = if several && n > 0 { format!("{name}-{}", n + 1) } else { name.clone() };
        import.listen(&name, &format!("{}:{port}", bracketed(address)), "smtpd", role, tls);
    }
    for (name, value) in &service.options {
        let value = conf.expand(value);
        let plain = !name.ends_with("_restrictions") || super::words(&value).all(|w| PLAIN.contains(&w));
        if !MEANT.contains(&name.as_str()) || !plain {
            import.lost(format!("master.cf: {}: -o {name}={value}", service.name));
        }
    }
}

/// The addresses of inet_interfaces and inet_protocols.
fn interfaces(conf: &MainCf) -> Vec<String> {
    let (interfaces, protocols) = (conf.get("inet_interfaces"), conf.get("inet_protocols"));
    let (four, six) = (protocols != "ipv6", protocols != "ipv4");
    let of = |v4: &str, v6: &str| {
        let all = [four.then(|| v4.to_string()), six.then(|| v6.to_string())];
        all.into_iter().flatten().collect::<Vec<_>>()
    };
    match interfaces.as_str() {
        // one socket takes both
        "all" if six => vec!["[::]".into()],
        "all" => vec!["0.0.0.0".into()],
        "loopback-only" | "localhost" => of("127.0.0.1", "[::1]"),
        list => super::words(list)
            .flat_map(|w| if w == "localhost" { of("127.0.0.1", "[::1]") } else { vec![w.into()] })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_and_their_settings() {
        let text = "# c\nsmtp inet n - y - - smtpd\nsubmission inet n - y - - smtpd\n  -o syslog_name=postfix/$service_name\n\
                    \x20 -o { smtpd_recipient_restrictions = permit_sasl_authenticated, reject }\n  -osmtpd_tls_wrappermode=no\n\
                    pickup unix n - y 60 1 pickup\n";
        let all = parse(text);
        assert_eq!(all.len(), 3);
        let options: Vec<String> = all[1].options.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(
            options,
            [
                "syslog_name=postfix/$service_name",
                "smtpd_recipient_restrictions=permit_sasl_authenticated, reject",
                "smtpd_tls_wrappermode=no"
            ]
        );
    }
}
