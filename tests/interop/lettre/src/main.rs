//! lettre as a client of an instance named by the environment: as a host with STARTTLS, logged in with STARTTLS and with
//! TLS from the start; what must be refused is.

use lettre::message::{Attachment, MultiPart, SinglePart, header::ContentType};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport};
use std::error::Error;

const USER: &str = "user3@example.test";

fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

fn message(tail: &str, to: &str) -> Result<Message, Box<dyn Error>> {
    let attachment =
        Attachment::new("ä.bin".into()).body(vec![7u8; 3000], ContentType::parse("application/octet-stream")?);
    let parts =
        MultiPart::mixed().singlepart(SinglePart::plain("grüße\n.one dot\n..two\n".to_owned())).singlepart(attachment);
    Ok(Message::builder()
        .from(USER.parse()?)
        .to(to.parse()?)
        .subject(format!("{}-{tail}", env("TOKEN")))
        .multipart(parts)?)
}

fn transport(port: &str, wrapped: bool, password: Option<&str>) -> Result<SmtpTransport, Box<dyn Error>> {
    let root = Certificate::from_pem(&std::fs::read(env("TLS_CA"))?)?;
    let parameters = TlsParameters::builder("localhost".into()).add_root_certificate(root).build()?;
    let tls = if wrapped { Tls::Wrapper(parameters) } else { Tls::Required(parameters) };
    let builder = SmtpTransport::builder_dangerous("localhost").port(env(port).parse()?).tls(tls);
    Ok(match password {
        Some(password) => builder
            .credentials(Credentials::new(USER.into(), password.into()))
            .authentication(vec![Mechanism::Plain, Mechanism::Login])
            .build(),
        None => builder.build(),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    for (tail, port, wrapped, password) in [
        ("mx", "SMTP_PORT", false, None),
        ("starttls", "SUBMISSION_PORT", false, Some("pw-user3")),
        ("smtps", "SMTPS_PORT", true, Some("pw-user3")),
    ] {
        let answer = transport(port, wrapped, password)?.send(&message(tail, USER)?)?;
        assert!(answer.is_positive(), "{answer:?}");
    }
    let unknown = transport("SMTP_PORT", false, None)?.send(&message("x", "nobody@example.test")?).unwrap_err();
    assert!(unknown.is_permanent(), "{unknown}");
    let wrong = transport("SUBMISSION_PORT", false, Some("no"))?.send(&message("x", USER)?).unwrap_err();
    assert!(wrong.is_permanent(), "{wrong}");
    Ok(())
}
