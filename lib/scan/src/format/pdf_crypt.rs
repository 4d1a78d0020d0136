//! PDF encryption with the empty user password: what every viewer opens without asking.
//!
//! Standards   ISO 32000-2 7.6: revisions 2 to 6, RC4, AES-128, AES-256
//! Failures    `Err` when a password would be needed or the handler is another one

use super::pdf::{Objects, integer, string, string_at, value};
use crate::sig::hashes::Algorithm;
use aes::cipher::{BlockDecrypt, BlockEncrypt, KeyInit, generic_array::GenericArray};
use memchr::memmem;
use sha2::Digest;

const PAD: [u8; 32] = [
    0x28, 0xbf, 0x4e, 0x5e, 0x4e, 0x75, 0x8a, 0x41, 0x64, 0x00, 0x4e, 0x56, 0xff, 0xfa, 0x01, 0x08, 0x2e, 0x2e, 0x00,
    0xb6, 0xd0, 0x68, 0x3e, 0x80, 0x2f, 0x0c, 0xa9, 0xfe, 0x64, 0x53, 0x69, 0x7a,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Identity,
    Rc4,
    Aes128,
    Aes256,
}

/// A key that opens the document.
pub struct Crypt {
    key: Vec<u8>,
    method: Method,
}

impl Crypt {
    /// The document's key, `None` when it is not encrypted.
    pub(super) fn of(objects: &Objects<'_>) -> Result<Option<Crypt>, ()> {
        let data = objects.data;
        let Some(at) = memmem::rfind(data, b"/Encrypt")
            .filter(|at| data.get(at + 8).is_some_and(|c| c.is_ascii_whitespace() || *c == b'<'))
        else {
            return Ok(None);
        };
        let rest = data.get(at + 8..).unwrap_or_default().trim_ascii_start();
        let Some(dict) = objects.resolve(rest) else { return Ok(None) };
        let end = memmem::find(dict, b"endobj").unwrap_or(dict.len()).min(8192);
        let dict = dict.get(..end).unwrap_or_default();
        if value(dict, b"V").is_none() && value(dict, b"R").is_none() {
            return Ok(None);
        }
        open(data, dict).ok_or(()).map(Some)
    }

    /// A stream of object `number generation` in the clear.
    pub fn decrypt(&self, object: (u32, u32), body: &[u8]) -> Vec<u8> {
        match self.method {
            Method::Identity => body.to_vec(),
            Method::Rc4 => rc4(&self.object_key(object, false), body),
            Method::Aes128 => aes_cbc(&self.object_key(object, true), body),
            Method::Aes256 => aes_cbc(&self.key, body),
        }
    }

    /// Algorithm 1.
    fn object_key(&self, (number, generation): (u32, u32), aes: bool) -> Vec<u8> {
        let mut input = self.key.clone();
        input.extend_from_slice(number.to_le_bytes().get(..3).unwrap_or_default());
        input.extend_from_slice(generation.to_le_bytes().get(..2).unwrap_or_default());
        if aes {
            input.extend_from_slice(b"sAlT");
        }
        let mut key = md5(&input);
        key.truncate((self.key.len() + 5).min(16));
        key
    }
}

fn md5(data: &[u8]) -> Vec<u8> {
    Algorithm::Md5.digest(data)
}

fn open(data: &[u8], dict: &[u8]) -> Option<Crypt> {
    let int = |key: &[u8]| value(dict, key).and_then(integer);
    let (v, r) = (int(b"V").unwrap_or(0), int(b"R")?);
    let method = match v {
        1 | 2 => Method::Rc4,
        4 | 5 => filter_method(dict, v)?,
        _ => return None,
    };
    let (o, u) = (string(dict, b"O")?, string(dict, b"U")?);
    if v == 5 {
        let key = if r >= 6 { key_256(dict, &u, hash_r6)? } else { key_256(dict, &u, hash_r5)? };
        return Some(Crypt { key, method });
    }
    let len = if r == 2 { 5 } else { usize::try_from(int(b"Length").unwrap_or(40)).ok()? / 8 };
    let len = if v == 4 { 16 } else { len.clamp(5, 16) };
    let id = id(data);
    let metadata = value(dict, b"EncryptMetadata").is_none_or(|m| !m.starts_with(b"false"));
    let key = key_md5(&o, int(b"P")? as i32, &id, r, len, metadata)?;
    check(&key, &u, &id, r).then_some(Crypt { key, method })
}

fn filter_method(dict: &[u8], v: i64) -> Option<Method> {
    let stream = value(dict, b"StmF")?;
    if stream.starts_with(b"/Identity") {
        return Some(Method::Identity);
    }
    let method = value(dict, b"CFM")?;
    Some(match () {
        () if method.starts_with(b"/V2") => Method::Rc4,
        () if method.starts_with(b"/AESV3") || v == 5 => Method::Aes256,
        () if method.starts_with(b"/AESV2") => Method::Aes128,
        () => return None,
    })
}

/// First string of the file identifier.
fn id(data: &[u8]) -> Vec<u8> {
    memmem::rfind_iter(data, b"/ID")
        .filter_map(|at| {
            let rest = data.get(at + 3..)?.trim_ascii_start().strip_prefix(b"[")?.trim_ascii_start();
            string_at(rest)
        })
        .next()
        .unwrap_or_default()
}

/// Algorithm 2.
fn key_md5(o: &[u8], p: i32, id: &[u8], r: i64, len: usize, metadata: bool) -> Option<Vec<u8>> {
    let mut input = PAD.to_vec();
    input.extend_from_slice(o.get(..32)?);
    input.extend_from_slice(&p.to_le_bytes());
    input.extend_from_slice(id);
    if r >= 4 && !metadata {
        input.extend_from_slice(&[0xff; 4]);
    }
    let mut key = md5(&input);
    key.truncate(len);
    if r >= 3 {
        for _ in 0..50 {
            key = md5(&key);
            key.truncate(len);
        }
    }
    Some(key)
}

/// Algorithms 4, 5 and 6: whether the empty password is right.
fn check(key: &[u8], u: &[u8], id: &[u8], r: i64) -> bool {
    if r == 2 {
        return u.get(..32) == Some(&rc4(key, &PAD)[..]);
    }
    let mut x = rc4(key, &md5(&[&PAD[..], id].concat()));
    for n in 1..20u8 {
        let k: Vec<u8> = key.iter().map(|b| b ^ n).collect();
        x = rc4(&k, &x);
    }
    u.get(..16) == Some(&x[..])
}

/// Algorithm 2.A for the user password.
fn key_256(dict: &[u8], u: &[u8], hash: fn(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
    let (want, validation, salt) = (u.get(..32)?, u.get(32..40)?, u.get(40..48)?);
    (hash(validation) == want).then_some(())?;
    let ue = string(dict, b"UE")?;
    let packed = [&[0; 16], ue.get(..32)?].concat();
    let mut key = aes_cbc_raw(&hash(salt), &packed);
    key.truncate(32);
    Some(key)
}

fn hash_r5(salt: &[u8]) -> Vec<u8> {
    Algorithm::Sha256.digest(salt)
}

/// Algorithm 2.B with an empty password.
fn hash_r6(salt: &[u8]) -> Vec<u8> {
    let mut k = Algorithm::Sha256.digest(salt);
    let mut round = 0;
    loop {
        let k1 = k.repeat(64);
        let (key, iv) = k.split_at(16);
        let e = aes128_cbc_encrypt(key, iv.get(..16).unwrap_or_default(), &k1);
        let rest: u32 = e.iter().take(16).map(|b| u32::from(*b)).sum::<u32>() % 3;
        k = match rest {
            0 => sha2::Sha256::digest(&e).to_vec(),
            1 => sha2::Sha384::digest(&e).to_vec(),
            _ => sha2::Sha512::digest(&e).to_vec(),
        };
        round += 1;
        if round >= 64 && usize::from(e.last().copied().unwrap_or(0)) <= round - 32 {
            k.truncate(32);
            return k;
        }
    }
}

fn aes128_cbc_encrypt(key: &[u8], iv: &[u8], data: &[u8]) -> Vec<u8> {
    let Ok(cipher) = aes::Aes128::new_from_slice(key) else { return Vec::new() };
    let mut last: [u8; 16] = iv.try_into().unwrap_or([0; 16]);
    let mut out = Vec::with_capacity(data.len());
    for block in data.as_chunks::<16>().0 {
        let mut b = GenericArray::from(std::array::from_fn::<u8, 16, _>(|n| block[n] ^ last[n]));
        cipher.encrypt_block(&mut b);
        last = b.into();
        out.extend_from_slice(&last);
    }
    out
}

/// CBC with the vector in front and padding behind.
fn aes_cbc(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = aes_cbc_raw(key, data);
    let pad = usize::from(out.last().copied().unwrap_or(0));
    if (1..=16).contains(&pad) {
        out.truncate(out.len() - pad);
    }
    out
}

fn aes_cbc_raw(key: &[u8], data: &[u8]) -> Vec<u8> {
    match (key.len(), aes::Aes128::new_from_slice(key), aes::Aes256::new_from_slice(key)) {
        (16, Ok(c), _) => cbc(data, |b| c.decrypt_block(GenericArray::from_mut_slice(b))),
        (32, _, Ok(c)) => cbc(data, |b| c.decrypt_block(GenericArray::from_mut_slice(b))),
        _ => Vec::new(),
    }
}

fn cbc(data: &[u8], decrypt: impl Fn(&mut [u8; 16])) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for pair in data.as_chunks::<16>().0.windows(2) {
        let [before, block] = pair else { continue };
        let mut b = *block;
        decrypt(&mut b);
        out.extend(b.iter().zip(before).map(|(a, b)| a ^ b));
    }
    out
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    if key.is_empty() {
        return data.to_vec();
    }
    let mut s: [u8; 256] = std::array::from_fn(|n| n as u8);
    let mut j = 0u8;
    for i in 0..256 {
        j = j.wrapping_add(s[i]).wrapping_add(key[i % key.len()]);
        s.swap(i, usize::from(j));
    }
    let (mut i, mut j) = (0u8, 0u8);
    data.iter()
        .map(|b| {
            i = i.wrapping_add(1);
            j = j.wrapping_add(s[usize::from(i)]);
            s.swap(usize::from(i), usize::from(j));
            b ^ s[usize::from(s[usize::from(i)].wrapping_add(s[usize::from(j)]))]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rc4_vector() {
        // RFC 6229 style: the well-known "Key"/"Plaintext" pair
        assert_eq!(rc4(b"Key", b"Plaintext"), [0xbb, 0xf3, 0x16, 0xe8, 0xd9, 0x40, 0xaf, 0x0a, 0xd3]);
    }

    #[test]
    fn cbc_round_trip() {
        let plain = [7u8; 32];
        let coded = aes128_cbc_encrypt(&[1; 16], &[2; 16], &plain);
        assert_eq!(aes_cbc_raw(&[1; 16], &[&[2; 16][..], &coded].concat()), plain);
    }
}
