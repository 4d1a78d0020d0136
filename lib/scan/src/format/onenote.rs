//! OneNote sections: the files stored in them.
//!
//! Standards   MS-ONESTORE 2.6.13 (FileDataStoreObject)

use crate::sink::{Meta, Sink};

/// Hands over the file whose header is at `at`.
pub fn object(data: &[u8], at: usize, sink: &mut dyn Sink) {
    let Some(len) = data.get(at + 16..at + 24).and_then(|b| b.first_chunk::<8>()) else { return };
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
    let rest = data.get(at + 36..).unwrap_or_default();
    if len > 0 {
        sink.member(&Meta::plain("ONENOTE"), rest.get(..len).unwrap_or(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Collect;

    #[test]
    fn a_stored_file() {
        let mut d = b"..\xe7\x16\xe3\xbd\x65\x26\x11\x45\xa4\xc4\x8d\x4d\x0b\x7a\x9e\xac".to_vec();
        d.extend(4u64.to_le_bytes());
        d.extend([0; 12]);
        d.extend(b"filerest");
        let mut c = Collect::default();
        object(&d, 2, &mut c);
        assert!(c.has(b"file"));
    }
}
