use super::*;
use crate::{Password, base64_encode, derive_scram};

fn plain(message: &[u8]) -> Next {
    Exchange::start(Mechanism::Plain, vec![], false).step(message)
}

fn password(authzid: Option<&str>, user: &str, password: &str) -> Next {
    Next::Password { authzid: authzid.map(str::to_owned), user: user.into(), password: Secret::new(password) }
}

/// RFC 4616 section 4.
#[test]
fn plain_messages() {
    assert_eq!(plain(b"\0tim\0tanstaaftanstaaf"), password(None, "tim", "tanstaaftanstaaf"));
    assert_eq!(plain(b"Ursel\0Kurt\0xipj3plmq"), password(Some("Ursel"), "Kurt", "xipj3plmq"));
    for bad in [&b""[..], b"\0", b"\0a", b"\0a\0", b"\0\0b", b"\0a\0b\0", b"\0a\nb\0c", b"a\r\0b\0c", b"\0\xff\0c"] {
        assert_eq!(plain(bad), Next::Failed(SaslError::Malformed), "{bad:?}");
    }
}

#[test]
fn login_exchange() {
    let mut exchange = Exchange::start(Mechanism::Login, vec![], false);
    assert_eq!(exchange.opening(), b"Username:");
    assert_eq!(exchange.step(b"tim"), Next::Challenge(b"Password:".to_vec()));
    assert_eq!(exchange.step(b"pw"), password(None, "tim", "pw"));
    assert_eq!(exchange.step(b"pw"), Next::Failed(SaslError::Malformed));
    let mut initial = Exchange::start(Mechanism::Login, vec![], false);
    assert_eq!(initial.step(b"tim"), Next::Challenge(b"Password:".to_vec()));
    assert_eq!(initial.step(b""), Next::Failed(SaslError::Malformed));
}

const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FINAL: &str =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

fn pencil() -> ScramKeys {
    derive_scram(b"pencil", &crate::base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096).unwrap()
}

/// RFC 7677 section 3.
#[test]
fn scram_vector() {
    let mut exchange = Exchange::start(Mechanism::ScramSha256, vec![], false);
    assert_eq!(exchange.opening(), b"");
    assert_eq!(exchange.step(CLIENT_FIRST.as_bytes()), Next::Keys("user".into()));
    let expected = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    assert_eq!(exchange.keys(pencil(), SERVER_NONCE), Next::Challenge(expected.into()));
    let data = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".to_vec();
    assert_eq!(exchange.step(CLIENT_FINAL.as_bytes()), Next::Done { authzid: None, user: "user".into(), data });
    assert!(matches!(exchange.step(CLIENT_FINAL.as_bytes()), Next::Failed(_)));
}

#[test]
fn scram_that_is_wrong() {
    let run = |last: &str| {
        let mut exchange = Exchange::start(Mechanism::ScramSha256, vec![], false);
        exchange.step(CLIENT_FIRST.as_bytes());
        exchange.keys(pencil(), SERVER_NONCE);
        exchange.step(last.as_bytes())
    };
    for (from, to, error) in [
        ("dHzb", "dHzc", SaslError::Mismatch),
        ("k0,", "k1,", SaslError::Mismatch),
        ("biws", "eSws", SaslError::Binding),
        ("c=", "x=", SaslError::Malformed),
        (",p=", ",q=", SaslError::Malformed),
    ] {
        assert_eq!(run(&CLIENT_FINAL.replace(from, to)), Next::Failed(error), "{from}");
    }
    let first = |text: &str, plus, offered| {
        let binding = Binding { kind: "tls-exporter".into(), data: b"abc".to_vec() };
        let mechanism = if plus { Mechanism::ScramSha256Plus } else { Mechanism::ScramSha256 };
        Exchange::start(mechanism, vec![binding], offered).step(text.as_bytes())
    };
    assert_eq!(first("y,,n=u,r=x", false, true), Next::Failed(SaslError::Binding)); // stripped -PLUS
    assert_eq!(first("y,,n=u,r=x", false, false), Next::Keys("u".into()));
    assert_eq!(first("n,,n=u,r=x", true, true), Next::Failed(SaslError::Binding));
    assert_eq!(first("p=tls-unique,,n=u,r=x", true, true), Next::Failed(SaslError::Binding));
    assert_eq!(first("p=tls-exporter,,n=u,r=x", true, true), Next::Keys("u".into()));
    assert_eq!(first("n,a=x=2Cy,n=a=3Db,r=x", false, false), Next::Keys("a=b".into()));
    for bad in
        ["", "n", "n,,", "n,,n=,r=x", "n,,n=u,r=", "n,,m=x,n=u,r=x", "n,x,n=u,r=x", "n,,n=u=,r=x", "n,,n=a\0,r=x"]
    {
        assert_eq!(first(bad, false, false), Next::Failed(SaslError::Malformed), "{bad:?}");
    }
}

/// The whole of -PLUS with a client made here: the binding data is part of what is signed.
#[test]
fn scram_plus_binds_the_channel() {
    use crate::password::mac;
    use sha2::{Digest, Sha256};
    let binding = Binding { kind: "tls-exporter".into(), data: vec![7; 32] };
    let mut exchange = Exchange::start(Mechanism::ScramSha256Plus, vec![binding], true);
    assert_eq!(exchange.step(b"p=tls-exporter,,n=user,r=abc"), Next::Keys("user".into()));
    let keys = Password::parse("{PLAIN}pencil").unwrap().scram(b"salt").unwrap();
    let Next::Challenge(server_first) = exchange.keys(keys, "xyz") else { panic!() };
    let header = [b"p=tls-exporter,,".as_slice(), &[7; 32]].concat();
    let without = format!("c={},r=abcxyz", base64_encode(&header));
    let auth = format!("n=user,r=abc,{},{without}", String::from_utf8(server_first).unwrap());
    let mut salted = mac(b"pencil", &[b"salt", &[0, 0, 0, 1]]).unwrap();
    let mut u = salted;
    for _ in 1..4096 {
        u = mac(b"pencil", &[&u]).unwrap();
        salted.iter_mut().zip(u).for_each(|(a, b)| *a ^= b);
    }
    let client = mac(&salted, &[b"Client Key"]).unwrap();
    let signature = mac(&Sha256::digest(client), &[auth.as_bytes()]).unwrap();
    let proof: Vec<u8> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    let last = format!("{without},p={}", base64_encode(&proof));
    assert!(matches!(exchange.step(last.as_bytes()), Next::Done { .. }));
}

/// RFC 7628 section 4.1 and Google's documentation of XOAUTH2.
#[test]
fn tokens() {
    let message = b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
    let mut exchange = Exchange::start(Mechanism::OauthBearer, vec![], false);
    let token = Secret::new("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    assert_eq!(exchange.step(message), Next::Token { user: "user@example.com".into(), token });
    assert!(exchange.token_refused().starts_with(b"{"));
    assert_eq!(exchange.step(b"\x01"), Next::Failed(SaslError::Refused));
    let mut exchange = Exchange::start(Mechanism::Xoauth2, vec![], false);
    let message = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4\x01\x01";
    let token = Secret::new("ya29.vF9dft4");
    assert_eq!(exchange.step(message), Next::Token { user: "someuser@example.com".into(), token });
    for bad in
        [&b"user=a\x01auth=Basic x\x01\x01"[..], b"user=a\x01auth=Bearer \x01\x01", b"user=a\x01auth=Bearer x\x01", b""]
    {
        let next = Exchange::start(Mechanism::Xoauth2, vec![], false).step(bad);
        assert_eq!(next, Next::Failed(SaslError::Malformed), "{bad:?}");
    }
    for bad in
        [&b"n,,\x01auth=Bearer x\x01\x01"[..], b"n,a=x,auth=Bearer x\x01\x01", b"p=x,a=x,\x01auth=Bearer x\x01\x01"]
    {
        let next = Exchange::start(Mechanism::OauthBearer, vec![], false).step(bad);
        assert_eq!(next, Next::Failed(SaslError::Malformed), "{bad:?}");
    }
}
