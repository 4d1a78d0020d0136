use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn sample() -> Message {
    let query = Message::query(0x1234, &name("example.org"), Type::Mx, true);
    let owner = name("example.org");
    let data = [
        Data::A("192.0.2.1".parse().unwrap()),
        Data::Aaaa("2001:db8::1".parse().unwrap()),
        Data::Mx(10, name("mx.example.org")),
        Data::Txt(vec![b'x'; 600]),
        Data::Txt(Vec::new()),
        Data::Cname(name("alias.example.org")),
        Data::Ptr(name("ptr.example.org")),
        Data::Ns(name("ns.example.org")),
        Data::Srv(1, 2, 3, name("srv.example.org")),
        Data::Tlsa(3, 1, 1, vec![7; 32]),
    ];
    let mut reply = query.reply(0);
    reply.authentic = true;
    reply.answers = data.into_iter().map(|data| Record { name: owner.clone(), ttl: 300, data }).collect();
    reply.authority = vec![Record {
        name: owner.clone(),
        ttl: 60,
        data: Data::Soa(Box::new(Soa {
            mname: owner.clone(),
            rname: name("hostmaster.example.org"),
            serial: 1,
            refresh: 2,
            retry: 3,
            expire: 4,
            minimum: 5,
        })),
    }];
    reply
}

#[test]
fn what_is_written_reads_back() {
    let message = sample();
    assert_eq!(Message::decode(&message.encode()).unwrap(), message);
}

#[test]
fn every_cut_is_an_error_and_no_panic() {
    let bytes = sample().encode();
    for cut in 0..bytes.len() {
        assert_eq!(Message::decode(&bytes[..cut]), Err(Malformed), "cut at {cut}");
    }
}

#[test]
fn every_flipped_octet_ends_without_a_panic() {
    let bytes = sample().encode();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x3f, 0x40, 0x80, 0xc0, 0xff] {
            let mut copy = bytes.clone();
            copy[at] = value;
            let _ = Message::decode(&copy);
        }
    }
}

/// Header with one question, then raw octets as one answer owner.
fn with_owner(owner: &[u8]) -> Vec<u8> {
    let mut bytes = Message::query(1, &name("a.b"), Type::A, false).encode();
    bytes[2] |= 0x80;
    bytes[7] = 1;
    bytes.extend_from_slice(owner);
    bytes.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 7]);
    bytes
}

#[test]
fn compression_pointers() {
    // the question's name stands at 12: "a.b"; 14 is "b"
    let whole = Message::decode(&with_owner(&[0xc0, 12])).unwrap();
    assert_eq!(whole.answers[0].name, name("a.b"));
    let tail = Message::decode(&with_owner(&[1, b'x', 0xc0, 14])).unwrap();
    assert_eq!(tail.answers[0].name, name("x.b"));
}

#[test]
fn pointer_loops_are_refused() {
    let at = 21; // where the owner starts
    assert_eq!(Message::decode(&with_owner(&[0xc0, at])), Err(Malformed));
    assert_eq!(Message::decode(&with_owner(&[1, b'x', 0xc0, at])), Err(Malformed));
    assert_eq!(Message::decode(&with_owner(&[0xc0, at + 2])), Err(Malformed));
}

#[test]
fn reserved_label_types_are_refused() {
    assert_eq!(Message::decode(&with_owner(&[0x41, 0])), Err(Malformed));
    assert_eq!(Message::decode(&with_owner(&[0x80, 0])), Err(Malformed));
}

#[test]
fn record_data_must_fill_its_length() {
    let mut bytes = with_owner(&[0xc0, 12]);
    let len = bytes.len();
    bytes[len - 5] = 5; // an A record of five octets
    bytes.push(0);
    assert_eq!(Message::decode(&bytes), Err(Malformed));
}

#[test]
fn an_answer_must_match_the_question() {
    let query = Message::query(7, &name("example.org"), Type::A, true);
    assert!(query.reply(0).answers_to(&query));
    assert!(!query.answers_to(&query));
    let other = Message::query(7, &name("example.com"), Type::A, true);
    assert!(!other.reply(0).answers_to(&query));
    assert!(!Message { id: 8, ..query.reply(0) }.answers_to(&query));
}
