//! RAR archives, compressed members: every method from 1.3 to 7, by the crate `rars`.
//!
//! Invariants  1. a member, its dictionary and the decoder's memory are bounded   2. what did not come out whole is a trouble;
//!             what came out before the decoder failed is scanned all the same
//! Not here    names, headers, stored members of versions 1.5 to 5 (rar.rs, which reads them more leniently)

use crate::sink::{Meta, Sink, Trouble};
use rars::{ArchiveMember, ArchiveReadOptions, ArchiveReader, ErrorKind, ExtractionDecision, ExtractionErrorAction};
use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Largest member: it is held in memory, for the decoder pushes and the walk pulls.
#[cfg(not(test))]
const MEMBER_MAX: u64 = 64 << 20;
#[cfg(test)]
const MEMBER_MAX: u64 = 1 << 20;
/// Most that comes out of one archive.
const TOTAL_MAX: u64 = 400 << 20;
/// Largest dictionary of versions 5 and 7; WinRAR's default is 32 MiB.
const DICTIONARY_MAX: u64 = 64 << 20;
/// All memory of the decoder.
const WORKSPACE_MAX: u64 = 256 << 20;
/// Most headers, and their octets.
const HEADERS_MAX: u64 = 100_000;
const HEADER_BYTES_MAX: u64 = 16 << 20;

/// Time for one archive: a slow decoder writes little and often.
const TIME_MAX: Duration = Duration::from_secs(30);

/// What the decoder writes into, until when.
#[derive(Clone)]
struct Shared(Rc<RefCell<Vec<u8>>>, Instant);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if Instant::now() > self.1 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The member being decoded, if any.
struct Run<'s> {
    sink: &'s mut dyn Sink,
    out: Shared,
    current: Option<Meta>,
    count: u64,
    packed: usize,
    guess: bool,
    all: bool,
}

impl Run<'_> {
    /// Hands over what the member at hand has become.
    fn finish(&mut self) {
        let data = std::mem::take(&mut *self.out.0.borrow_mut());
        if let Some(meta) = self.current.take() {
            self.sink.decode(&meta, &mut data.as_slice());
        }
    }

    fn decide(&mut self, member: &ArchiveMember, solid: bool) -> ExtractionDecision {
        self.finish();
        self.count += 1;
        if self.sink.done() {
            return ExtractionDecision::Stop;
        }
        let (m, split) = (&member.meta, member.meta.is_split_before || member.meta.is_split_after);
        if self.all && (m.is_encrypted || split) {
            let trouble = if split { Trouble::Partial } else { Trouble::Encrypted };
            self.sink.trouble(trouble, "a member of a RAR archive that is not all here, or encrypted");
        }
        let none = m.is_directory || m.is_redirection;
        let told = m.is_encrypted || split || (m.is_stored && !self.all);
        // in a solid archive they must run through the decoder
        if none || (told && !solid) {
            return ExtractionDecision::Skip;
        }
        self.packed += usize::from(!m.is_stored);
        let name = crate::mime::params::text(member.meta.name_bytes());
        let meta = Meta {
            packed: Some(m.packed_size),
            size: Some(m.unpacked_size),
            position: self.count,
            guess: self.guess,
            ..Meta::named("RAR", name)
        };
        self.current = Some(meta);
        ExtractionDecision::Extract(Box::new(self.out.clone()))
    }
}

/// Unpacks the compressed members of the archive at the start of `data`: `expected` of them, all where rar.rs has no reader.
pub fn read(data: &[u8], guess: bool, expected: Option<usize>, sink: &mut dyn Sink) {
    let options = ArchiveReadOptions::new()
        .with_max_header_count(HEADERS_MAX)
        .with_max_header_bytes(HEADER_BYTES_MAX)
        .with_max_member_output_bytes(MEMBER_MAX)
        .with_max_total_output_bytes(TOTAL_MAX)
        .with_max_reader_workspace_bytes(WORKSPACE_MAX)
        .with_rar50_buffered_decode_limit(0)
        .with_rar50_dictionary_size_limit(DICTIONARY_MAX);
    let archive = match ArchiveReader::read_with_options(data, options) {
        Ok(archive) => archive,
        Err(e) => return fail(e.kind(), guess, sink),
    };
    let solid = archive.is_solid();
    let mut run = Run {
        sink,
        out: Shared(Rc::default(), Instant::now() + TIME_MAX),
        current: None,
        count: 0,
        packed: 0,
        guess,
        all: expected.is_none(),
    };
    let mut failed = None;
    let result = {
        let run = RefCell::new(&mut run);
        archive.extract_with_control_and_errors(
            options,
            |member| Ok(run.borrow_mut().decide(member, solid)),
            |_, e| {
                failed = failed.or(Some(e.kind()));
                Ok(ExtractionErrorAction::Continue)
            },
        )
    };
    run.finish();
    // a member cut off at the end of the file is no error to the crate, it leaves it out
    let short = expected.is_some_and(|n| run.packed < n) && !run.sink.done();
    let failed = result.err().map(|e| e.kind()).or(failed).or(short.then_some(ErrorKind::InvalidArchive));
    if let Some(kind) = failed {
        fail(kind, guess, run.sink);
    }
}

fn fail(kind: ErrorKind, guess: bool, sink: &mut dyn Sink) {
    match kind {
        // the only input is memory, so an error of the system is ours: out of time
        ErrorKind::ResourceLimit | ErrorKind::Io => {
            sink.trouble(Trouble::Limit, "a RAR archive too large or too slow to unpack")
        }
        ErrorKind::UnsupportedFormat | ErrorKind::UnsupportedFeature => {
            sink.trouble(Trouble::Unsupported, "a RAR archive that needs what is not here");
        }
        _ if guess => {}
        _ => sink.trouble(Trouble::Damaged, "a compressed member of a RAR archive that does not unpack"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rar;
    use super::*;
    use crate::sink::Collect;
    use rars::{ArchiveVersion, Builder};

    const BODY: &[u8] = b"what is in a member, packed, packed, packed and packed again\n";

    fn members(packed: &[(&str, Vec<u8>)], builder: Builder) -> Vec<u8> {
        let mut builder = builder;
        for (name, data) in packed {
            builder.add_bytes(name.as_bytes().to_vec(), data.clone(), None, None).unwrap();
        }
        builder.to_bytes().unwrap()
    }

    fn two() -> Vec<(&'static str, Vec<u8>)> {
        vec![("a.txt", BODY.repeat(9)), ("b/c.exe", [BODY.repeat(5), b"MZ".to_vec()].concat())]
    }

    #[test]
    fn every_version_solid_or_not() {
        for version in ArchiveVersion::ALL {
            for solid in [false, true] {
                let data = members(&two(), Builder::new(version).solid(solid));
                let mut c = Collect::default();
                rar::read(&data, false, &mut c);
                assert!(c.troubles.is_empty(), "{version:?} {solid}: {:?}", c.troubles);
                assert!(two().iter().all(|(_, d)| c.has(d)), "{version:?} {solid}");
                assert!(c.members.iter().any(|(n, _)| n.ends_with("c.exe")), "{version:?}: {:?}", c.listed);
            }
        }
    }

    #[test]
    fn damage_is_told_and_what_came_out_is_kept() {
        let data = members(&two(), Builder::new(ArchiveVersion::Rar50));
        let silent = (8..data.len()).filter(|n| {
            let mut c = Collect::default();
            rar::read(&data[..*n], false, &mut c);
            c.troubles.is_empty()
        });
        // cut between two blocks, or within the first octets of one, everything that is there was read
        let count = silent.count();
        assert!(count <= 4 * 7, "{count}");
        for n in 8..data.len() {
            let mut data = data.clone();
            data[n] ^= 0x10;
            rar::read(&data, false, &mut Collect::default());
        }
    }

    #[test]
    fn too_large_is_a_limit() {
        let large = vec![0; MEMBER_MAX as usize + 1];
        let data = members(&[("zeros", large)], Builder::new(ArchiveVersion::Rar50));
        assert!(data.len() < 1 << 20);
        let mut c = Collect::default();
        rar::read(&data, false, &mut c);
        assert_eq!(c.troubles.first().map(|t| t.0), Some(Trouble::Limit));
    }
}
