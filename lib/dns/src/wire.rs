//! DNS messages: octets to records and back, without I/O.
//!
//! Standards   RFC 1035 4 (format), 6891 6.1 (OPT), 3597 (unknown types are skipped)
//! Invariants  1. decoding never reads outside the message and always ends: compression pointers go strictly backwards
//!             2. what is encoded decodes to the same message
//! Trust       every octet is hostile; anything out of shape makes the whole message [`Malformed`]

use crate::name::Name;
use crate::record::{Data, Record, Soa, Type};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Octets of UDP answer we offer to take (the DNS flag day 2020 figure, avoids fragments).
pub const EDNS_SIZE: u16 = 1232;
/// Most records read from one section; mail needs far fewer and a message of 64 KiB could claim more.
const RECORDS_MAX: usize = 4096;

const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const AD: u16 = 0x0020;
const CLASS_IN: u16 = 1;
const TYPE_OPT: u16 = 41;

/// The octets are no DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A query or response with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Chosen by the one who asks.
    pub id: u16,
    /// Response, not query.
    pub response: bool,
    /// Cut short: ask again over TCP.
    pub truncated: bool,
    /// Recursion wanted.
    pub recursion: bool,
    /// Query: AD is wanted (RFC 6840 5.7); response: validated.
    pub authentic: bool,
    /// Response code, the EDNS extension not included.
    pub rcode: u8,
    /// Carries an OPT record.
    pub edns: bool,
    /// Name and type code asked for; the root and 0 when there was no question.
    pub question: (Name, u16),
    /// Answer section.
    pub answers: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
}

impl Message {
    /// A recursive query.
    pub fn query(id: u16, name: &Name, kind: Type, edns: bool) -> Self {
        Self {
            id,
            response: false,
            truncated: false,
            recursion: true,
            authentic: true,
            rcode: 0,
            edns,
            question: (name.clone(), kind.code()),
            answers: Vec::new(),
            authority: Vec::new(),
        }
    }

    /// The response to this query, still without records.
    pub fn reply(&self, rcode: u8) -> Self {
        Self { response: true, authentic: false, rcode, ..self.clone() }
    }

    /// Whether `self` answers `query`: same id and question (RFC 5452 9.1).
    pub fn answers_to(&self, query: &Self) -> bool {
        self.response && self.id == query.id && self.question == query.question
    }

    /// Writes the message; names are not compressed.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        put16(&mut out, self.id);
        put16(&mut out, self.flags());
        let opt = u16::from(self.edns);
        for count in [1, count(&self.answers), count(&self.authority), opt] {
            put16(&mut out, count);
        }
        put_name(&mut out, &self.question.0);
        put16(&mut out, self.question.1);
        put16(&mut out, CLASS_IN);
        for record in self.answers.iter().chain(&self.authority) {
            put_record(&mut out, record);
        }
        if self.edns {
            // root name, OPT, size, extended code/version/flags all zero, no options (RFC 6891 6.1.2)
            out.push(0);
            put16(&mut out, TYPE_OPT);
            put16(&mut out, EDNS_SIZE);
            out.extend_from_slice(&[0; 6]);
        }
        out
    }

    fn flags(&self) -> u16 {
        let bit = |on: bool, mask: u16| if on { mask } else { 0 };
        bit(self.response, QR | RA | AA)
            | bit(self.truncated, TC)
            | bit(self.recursion, RD)
            | bit(self.authentic, AD)
            | u16::from(self.rcode & 0xf)
    }

    /// Reads a message; records of other classes and unknown types are left out.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader { bytes, at: 0 };
        let id = r.u16()?;
        let flags = r.u16()?;
        let (questions, answers, authority, extra) = (r.u16()?, r.u16()?, r.u16()?, r.u16()?);
        let question = match questions {
            0 => (Name::root(), 0),
            1 => r.question()?,
            _ => return Err(Malformed),
        };
        let truncated = flags & TC != 0;
        let mut message = Self {
            id,
            response: flags & QR != 0,
            truncated,
            recursion: flags & RD != 0,
            authentic: flags & AD != 0,
            rcode: u8::try_from(flags & 0xf).unwrap_or(0),
            edns: false,
            question,
            answers: Vec::new(),
            authority: Vec::new(),
        };
        if truncated {
            // What is there may be cut anywhere; the caller asks again anyway.
            return Ok(message);
        }
        message.answers = r.section(answers, &mut message.edns)?;
        message.authority = r.section(authority, &mut message.edns)?;
        r.section(extra, &mut message.edns)?;
        Ok(message)
    }
}

fn count(records: &[Record]) -> u16 {
    u16::try_from(records.len()).unwrap_or(u16::MAX)
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_name(out: &mut Vec<u8>, name: &Name) {
    out.extend_from_slice(name.wire());
    out.push(0);
}

fn put_record(out: &mut Vec<u8>, record: &Record) {
    put_name(out, &record.name);
    put16(out, record.data.kind().code());
    put16(out, CLASS_IN);
    out.extend_from_slice(&record.ttl.to_be_bytes());
    let data = encode_data(&record.data);
    put16(out, u16::try_from(data.len()).unwrap_or(0));
    out.extend_from_slice(&data);
}

fn encode_data(data: &Data) -> Vec<u8> {
    let mut out = Vec::new();
    match data {
        Data::A(ip) => out.extend_from_slice(&ip.octets()),
        Data::Aaaa(ip) => out.extend_from_slice(&ip.octets()),
        Data::Cname(name) | Data::Ptr(name) | Data::Ns(name) => put_name(&mut out, name),
        Data::Mx(preference, host) => {
            put16(&mut out, *preference);
            put_name(&mut out, host);
        }
        Data::Txt(text) => put_strings(&mut out, text),
        Data::Srv(priority, weight, port, host) => {
            [priority, weight, port].into_iter().for_each(|n| put16(&mut out, *n));
            put_name(&mut out, host);
        }
        Data::Tlsa(usage, selector, matching, data) => {
            out.extend_from_slice(&[*usage, *selector, *matching]);
            out.extend_from_slice(data);
        }
        Data::Soa(soa) => {
            put_name(&mut out, &soa.mname);
            put_name(&mut out, &soa.rname);
            for n in [soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum] {
                out.extend_from_slice(&n.to_be_bytes());
            }
        }
    }
    out
}

/// Character-strings of at most 255 octets (RFC 1035 3.3); an empty text is one empty string.
fn put_strings(out: &mut Vec<u8>, text: &[u8]) {
    if text.is_empty() {
        out.push(0);
    }
    for chunk in text.chunks(255) {
        out.push(u8::try_from(chunk.len()).unwrap_or(255));
        out.extend_from_slice(chunk);
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed)?;
        let part = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(part)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?.iter().fold(0, |_, b| *b))
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from(self.u8()?) << 8 | u16::from(self.u8()?))
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A possibly compressed name (RFC 1035 4.1.4).
    fn name(&mut self) -> Result<Name, Malformed> {
        let mut labels: Vec<&[u8]> = Vec::new();
        let mut end = None;
        let mut limit = self.at; // a pointer must lead before the part it stands in
        loop {
            let len = self.u8()?;
            match len {
                0 => break,
                1..=63 => labels.push(self.take(usize::from(len))?),
                0xc0..=0xff => {
                    let to = usize::from(u16::from(len & 0x3f) << 8 | u16::from(self.u8()?));
                    end.get_or_insert(self.at);
                    if to >= limit {
                        return Err(Malformed);
                    }
                    (limit, self.at) = (to, to);
                }
                _ => return Err(Malformed),
            }
            if labels.len() > 127 {
                return Err(Malformed);
            }
        }
        self.at = end.unwrap_or(self.at);
        Name::from_labels(labels.into_iter()).map_err(|_| Malformed)
    }

    fn question(&mut self) -> Result<(Name, u16), Malformed> {
        let name = self.name()?;
        let kind = self.u16()?;
        if self.u16()? == CLASS_IN { Ok((name, kind)) } else { Err(Malformed) }
    }

    fn section(&mut self, count: u16, edns: &mut bool) -> Result<Vec<Record>, Malformed> {
        let mut records = Vec::new();
        for _ in 0..usize::from(count).min(RECORDS_MAX) {
            let name = self.name()?;
            let kind = self.u16()?;
            let class = self.u16()?;
            let ttl = self.u32()?;
            let len = usize::from(self.u16()?);
            let end = self.at.checked_add(len).filter(|e| *e <= self.bytes.len()).ok_or(Malformed)?;
            *edns |= kind == TYPE_OPT;
            if let (CLASS_IN, Some(kind)) = (class, Type::from_code(kind)) {
                let data = self.data(kind, end)?;
                if self.at != end {
                    return Err(Malformed);
                }
                // RFC 2181 8: a value with the top bit set counts as zero.
                records.push(Record { name, ttl: if ttl > i32::MAX as u32 { 0 } else { ttl }, data });
            }
            self.at = end;
        }
        Ok(records)
    }

    fn data(&mut self, kind: Type, end: usize) -> Result<Data, Malformed> {
        Ok(match kind {
            Type::A => Data::A(Ipv4Addr::from(self.u32()?)),
            Type::Aaaa => {
                let octets: [u8; 16] = self.take(16)?.try_into().map_err(|_| Malformed)?;
                Data::Aaaa(Ipv6Addr::from(octets))
            }
            Type::Cname => Data::Cname(self.name()?),
            Type::Ptr => Data::Ptr(self.name()?),
            Type::Ns => Data::Ns(self.name()?),
            Type::Mx => Data::Mx(self.u16()?, self.name()?),
            Type::Srv => Data::Srv(self.u16()?, self.u16()?, self.u16()?, self.name()?),
            Type::Txt => Data::Txt(self.strings(end)?),
            Type::Tlsa => {
                let (usage, selector, matching) = (self.u8()?, self.u8()?, self.u8()?);
                let rest = end.checked_sub(self.at).ok_or(Malformed)?;
                Data::Tlsa(usage, selector, matching, self.take(rest)?.to_vec())
            }
            Type::Soa => Data::Soa(Box::new(Soa {
                mname: self.name()?,
                rname: self.name()?,
                serial: self.u32()?,
                refresh: self.u32()?,
                retry: self.u32()?,
                expire: self.u32()?,
                minimum: self.u32()?,
            })),
        })
    }

    fn strings(&mut self, end: usize) -> Result<Vec<u8>, Malformed> {
        let mut text = Vec::new();
        while self.at < end {
            let len = usize::from(self.u8()?);
            text.extend_from_slice(self.take(len)?);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
