//! Tests of the part tree: shapes, offsets, both line ends, limits.
use super::*;

const MIXED: &str = "Subject: x\nContent-Type: multipart/mixed; boundary=\"b1\"\n\npreamble\n--b1\nContent-Type: text/plain\n\none\ntwo\n--b1 \nContent-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/alternative; boundary=b2\n\n--b2\n\nplain\n--b2\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<p>=41\n--b2--\nepilogue\n--b1\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b1--\ntrailer\n";

fn parse(s: &[u8]) -> Structure {
    Structure::parse(s, Limits::default())
}

fn bodies<'a>(s: &Structure, message: &'a [u8]) -> Vec<&'a [u8]> {
    s.leaves().map(|p| p.body.of(message)).collect()
}

#[test]
fn nested_shape_and_bodies() {
    let m = MIXED.as_bytes();
    let s = parse(m);
    assert_eq!(s.parts.len(), 7);
    assert_eq!(s.root().children.len(), 3);
    assert_eq!(bodies(&s, m), [b"one\ntwo".as_slice(), b"plain", b"<p>=41", b"AAAA"]);
    assert!(s.parts[2].is_message() && s.parts[3].is_multipart());
    assert_eq!(s.parts[5].encoding, Encoding::QuotedPrintable);
    assert_eq!(s.root().body.end, m.len());
    assert!(s.parts[3].body.of(m).ends_with(b"--b2--\nepilogue"));
}

#[test]
fn crlf_gives_the_same_tree_and_lf_the_crlf_sizes() {
    let crlf = MIXED.replace('\n', "\r\n");
    let (a, b) = (parse(MIXED.as_bytes()), parse(crlf.as_bytes()));
    assert_eq!(a.parts.len(), b.parts.len());
    for (x, y) in a.parts.iter().zip(&b.parts) {
        assert_eq!((x.body.lines, x.header.lines), (y.body.lines, y.header.lines));
        assert_eq!(x.body.crlf_len(), y.body.end - y.body.start);
        assert_eq!(x.header.crlf_len(), y.header.end - y.header.start);
        assert_eq!(y.body.bare_lf, 0);
    }
}

#[test]
fn children_lie_inside_parents_for_every_truncation() {
    let m = MIXED.as_bytes();
    for n in 0..m.len() {
        let s = parse(&m[..n]);
        for p in &s.parts {
            assert!(
                p.header.start <= p.header.end && p.header.end <= p.body.start && p.body.start <= p.body.end,
                "cut at {n}"
            );
            assert_eq!(p.body.lines, p.body.of(m).iter().filter(|&&b| b == b'\n').count(), "cut at {n}");
            if let Some(parent) = p.parent.map(|i| &s.parts[i]) {
                assert!(parent.body.start <= p.header.start && p.body.end <= parent.body.end, "cut at {n}");
            }
        }
    }
}

#[test]
fn empty_parts_and_missing_pieces() {
    let m = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--b\n--b\nX: y\n--b--";
    let s = parse(m);
    assert_eq!(s.parts.len(), 4);
    assert_eq!(bodies(&s, m), [b"".as_slice(), b"", b""]);
    assert_eq!(s.parts[3].header.of(m), b"X: y");
    assert_eq!(parse(b"").parts.len(), 1);
    assert_eq!(parse(b"\nbody").root().body.of(b"\nbody"), b"body");
    // no boundary parameter: one opaque part
    assert_eq!(parse(b"Content-Type: multipart/mixed\n\n--x\n\n--x--\n").parts.len(), 1);
}

#[test]
fn inner_boundary_that_extends_the_outer_one() {
    let m = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=aa\n\n--aa\n\nx\n--aa--\n--a\n\ny\n--a--\n";
    let s = parse(m);
    assert_eq!(bodies(&s, m), [b"x".as_slice(), b"y"]);
    assert_eq!(s.root().children.len(), 2);
}

#[test]
fn unclosed_inner_multipart_ends_with_the_outer() {
    let m = b"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=q\n\n--q\n\nx\n--a\n\ny\n";
    let s = parse(m);
    assert_eq!(bodies(&s, m), [b"x".as_slice(), b"y\n"]);
}

#[test]
fn digest_children_are_messages() {
    let m = b"Content-Type: multipart/digest; boundary=a\n\n--a\n\nSubject: in\n\nbody\n--a--\n";
    let s = parse(m);
    assert!(s.parts[1].is_message());
    assert_eq!(s.parts[2].body.of(m), b"body");
}

#[test]
fn limits_hold_on_hostile_nesting() {
    let deep = "Content-Type: message/rfc822\n\n".repeat(50_000);
    let s = parse(deep.as_bytes());
    assert!(s.parts.len() <= Limits::default().depth + 2);
    let mut many = b"Content-Type: multipart/mixed; boundary=a\n\n".to_vec();
    many.extend_from_slice(&b"--a\n\n".repeat(200_000));
    assert_eq!(parse(&many).parts.len(), Limits::default().parts);
}

#[test]
fn agrees_with_an_independent_reader() {
    let theirs = mailparse::parse_mail(MIXED.as_bytes()).unwrap();
    let ours = parse(MIXED.as_bytes());
    assert_eq!(theirs.subparts.len(), ours.root().children.len());
    assert_eq!(theirs.subparts[0].get_body_raw().unwrap(), b"one\ntwo");
}
