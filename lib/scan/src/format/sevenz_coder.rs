//! The coders of a 7z folder joined into one reader.
//!
//! Standards   7-Zip's Methods.txt
//! Limits      dictionaries and PPMd models up to 64 MiB; eight coders in a row

use super::sevenz::{Bad, Coder, Folder};
use super::stream::{DICTIONARY_MAX, Spent, Zstd};
use lzma_rust2::filter::{bcj::BcjReader, bcj2::Bcj2Reader, delta::DeltaReader};
use std::io::{BufReader, Read};

type Boxed<'a> = Box<dyn Read + 'a>;

/// A reader of what the folder gives.
pub fn reader<'a>(folder: &Folder, packed: &[&'a [u8]]) -> Result<Boxed<'a>, Bad> {
    let main = (0..folder.coders.len()).find(|o| folder.bonds.iter().all(|b| b.1 != *o)).ok_or(Bad::Damaged)?;
    build(folder, packed, main, 0)
}

fn build<'a>(folder: &Folder, packed: &[&'a [u8]], at: usize, depth: usize) -> Result<Boxed<'a>, Bad> {
    let coder = folder.coders.get(at).filter(|_| depth < 8).ok_or(Bad::Damaged)?;
    let first: usize = folder.coders.iter().take(at).map(|c| c.inputs).sum();
    let mut inputs = Vec::new();
    for stream in first..first + coder.inputs {
        let bond = folder.bonds.iter().find(|b| b.0 == stream);
        inputs.push(match bond {
            Some((_, output)) => build(folder, packed, *output, depth + 1)?,
            None => {
                let n = folder.packed.iter().position(|p| *p == stream).ok_or(Bad::Damaged)?;
                Box::new(*packed.get(n).ok_or(Bad::Damaged)?)
            }
        });
    }
    let size = folder.sizes.get(at).copied().unwrap_or(0);
    let out = decoder(coder, inputs, size)?;
    Ok(Box::new(Spent::new(out.take(size))))
}

fn decoder<'a>(coder: &Coder, mut inputs: Vec<Boxed<'a>>, size: u64) -> Result<Boxed<'a>, Bad> {
    let p = &coder.properties;
    if coder.id == [3, 3, 1, 0x1b] {
        return if inputs.len() == 4 { Ok(Box::new(Bcj2Reader::new(inputs, size))) } else { Err(Bad::Damaged) };
    }
    let input = inputs.pop().filter(|_| coder.inputs == 1).ok_or(Bad::Damaged)?;
    Ok(match coder.id.as_slice() {
        [0] => input,
        [3, 1, 1] => lzma(p, input, size)?,
        [0x21] => Box::new(lzma_rust2::Lzma2Reader::new(BufReader::new(input), lzma2_dictionary(p, size)?, None)),
        [3] => Box::new(DeltaReader::new(input, usize::from(p.first().copied().unwrap_or(0)) + 1)),
        [4] | [3, 3, 1, 3] => Box::new(BcjReader::new_x86(input, 0)),
        [5] | [3, 3, 2, 5] => Box::new(BcjReader::new_ppc(input, 0)),
        [6] | [3, 3, 4, 1] => Box::new(BcjReader::new_ia64(input, 0)),
        [7] | [3, 3, 5, 1] => Box::new(BcjReader::new_arm(input, 0)),
        [8] | [3, 3, 7, 1] => Box::new(BcjReader::new_arm_thumb(input, 0)),
        [9] | [3, 3, 8, 5] => Box::new(BcjReader::new_sparc(input, 0)),
        [0xa] => Box::new(BcjReader::new_arm64(input, 0)),
        [0xb] => Box::new(BcjReader::new_riscv(input, 0)),
        [3, 4, 1] => ppmd(p, input)?,
        [4, 1, 8] => Box::new(flate2::bufread::DeflateDecoder::new(BufReader::new(input))),
        [4, 1, 9] => Box::new(deflate64::Deflate64Decoder::new(input)),
        [4, 2, 2] => Box::new(bzip2::bufread::MultiBzDecoder::new(BufReader::new(input))),
        [4, 0xf7, 0x11, 1] => Box::new(Zstd::new(BufReader::new(input))),
        [6, 0xf1, 7, 1] => return Err(Bad::Encrypted),
        _ => return Err(Bad::Unsupported),
    })
}

fn dictionary(p: &[u8]) -> Result<u32, Bad> {
    let bytes = p.get(1..5).and_then(|b| b.first_chunk::<4>()).ok_or(Bad::Damaged)?;
    Ok(u32::from_le_bytes(*bytes))
}

/// Room for a dictionary: no more of one can be used than the output has octets.
fn room(wanted: u32, size: u64) -> Result<u32, Bad> {
    let room = u64::from(wanted).min(size).max(4096);
    u32::try_from(room).ok().filter(|room| *room <= DICTIONARY_MAX).ok_or(Bad::Unsupported)
}

fn lzma<'a>(p: &[u8], input: Boxed<'a>, size: u64) -> Result<Boxed<'a>, Bad> {
    let props = *p.first().ok_or(Bad::Damaged)?;
    let dictionary = room(dictionary(p)?, size)?;
    let r = lzma_rust2::LzmaReader::new_with_props(BufReader::new(input), size, props, dictionary, None);
    Ok(Box::new(r.map_err(|_| Bad::Damaged)?))
}

fn lzma2_dictionary(p: &[u8], size: u64) -> Result<u32, Bad> {
    let bits = u32::from(*p.first().ok_or(Bad::Damaged)?);
    room(if bits >= 40 { u32::MAX } else { (2 | (bits & 1)) << (bits / 2 + 11) }, size)
}

fn ppmd<'a>(p: &[u8], input: Boxed<'a>) -> Result<Boxed<'a>, Bad> {
    let order = u32::from(*p.first().ok_or(Bad::Damaged)?);
    let memory = dictionary(p)?;
    if memory > DICTIONARY_MAX {
        return Err(Bad::Unsupported);
    }
    let r = ppmd_rust::Ppmd7Decoder::new(BufReader::new(input), order, memory);
    Ok(Box::new(r.map_err(|_| Bad::Damaged)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_is_unpacked_to_its_end() {
        // RFC 8878: a window of 128 KiB, blocks of one repeated octet, a raw block at the end
        let mut packed = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
        let (blocks, len) = (600u32, 128u32 << 10);
        for _ in 0..blocks {
            packed.extend_from_slice(&(len << 3 | 1 << 1).to_le_bytes()[..3]);
            packed.push(b'x');
        }
        packed.extend_from_slice(&(4u32 << 3 | 1).to_le_bytes()[..3]);
        packed.extend_from_slice(b"tail");
        let size = u64::from(blocks * len) + 4;
        let coder = Coder { id: vec![4, 0xf7, 0x11, 1], inputs: 1, properties: Vec::new() };
        let folder = Folder { coders: vec![coder], bonds: Vec::new(), packed: vec![0], sizes: vec![size] };
        let mut out = Vec::new();
        reader(&folder, &[packed.as_slice()]).unwrap().read_to_end(&mut out).unwrap();
        assert!(out.len() as u64 == size && out.ends_with(b"xtail"));
    }

    #[test]
    fn no_more_room_than_the_content_needs() {
        assert_eq!(lzma2_dictionary(&[26], 1 << 30), Ok(32 << 20));
        assert_eq!(lzma2_dictionary(&[26], 5 << 20), Ok(5 << 20));
        assert_eq!(lzma2_dictionary(&[40], 1), Ok(4096));
        assert_eq!(lzma2_dictionary(&[40], 1 << 30), Err(Bad::Unsupported));
    }
}
