//! Flash: the compressed forms unpacked.
//!
//! Standards   SWF file format specification, version 19, chapter 2

use super::stream::DICTIONARY_MAX;
use crate::sink::{Meta, Sink};

/// Unpacks the body of a CWS or ZWS file.
pub fn read(data: &[u8], sink: &mut dyn Sink) {
    let meta = Meta { guess: true, packed: Some(data.len() as u64), ..Meta::plain("SWF") };
    match data {
        [b'C', b'W', b'S', _, _, _, _, _, body @ ..] => {
            sink.decode(&meta, &mut flate2::bufread::ZlibDecoder::new(body));
        }
        [b'Z', b'W', b'S', _, _, _, _, _, _, _, _, _, props, d0, d1, d2, d3, body @ ..] => {
            let dictionary = u32::from_le_bytes([*d0, *d1, *d2, *d3]).clamp(4096, DICTIONARY_MAX);
            if let Ok(r) = lzma_rust2::LzmaReader::new_with_props(body, u64::MAX, *props, dictionary, None) {
                let mut r = Box::new(r);
                sink.decode(&meta, &mut r);
            }
        }
        _ => {}
    }
}
