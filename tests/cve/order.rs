//! Class 20: commands in any order. No order may end a conversation other than by its rules.

use crate::smtpfake::instance::Instance;

#[test]
fn c20_random_orders() {
    let instance = Instance::usual("[smtpd]\nmax_errors = 1000\ntarpit = 0\n");
    let pieces = [
        "EHLO x\r\n",
        "HELO x\r\n",
        "MAIL FROM:<a@far.example>\r\n",
        "MAIL FROM:<> BODY=BINARYMIME SMTPUTF8\r\n",
        "RCPT TO:<ann@here.example>\r\n",
        "RCPT TO:<postmaster>\r\n",
        "DATA\r\nA: b\r\n\r\n..\r\n.\r\n",
        "BDAT 3\r\na\r\n",
        "BDAT 4 LAST\r\na: b",
        "BDAT 0 LAST\r\n",
        "RSET\r\n",
        "NOOP x\r\n",
        "VRFY ann\r\n",
        "EXPN x\r\n",
        "HELP\r\n",
        "STARTTLS\r\n",
        "AUTH PLAIN AAAA\r\n",
        "AUTH LOGIN\r\n",
        "*\r\n",
        "\r\n",
        "\n",
        "\r",
        "\0\r\n",
        "XCLIENT ADDR=1.2.3.4\r\n",
        ".\r\n",
        "\u{fc}\r\n",
    ];
    let mut seed = 0x5eed_u64;
    let mut next = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    for round in 0..60 {
        let input: String = (0..next(60) + 1).map(|_| pieces[next(pieces.len())]).collect();
        let role = ["mx", "submission", "lmtp"][round % 3];
        let output = instance.smtpd(role).stdin(&input).run();
        assert_eq!(output.code, Some(0), "{role} {input:?}: {}", output.describe());
        assert!(!output.err().contains("ev=panic"), "{input:?}: {}", output.err());
        let odd = output.out().lines().any(|l| l.as_bytes().get(3).is_none_or(|b| *b != b' ' && *b != b'-'));
        assert!(!odd, "{input:?}: {}", output.out());
    }
}
