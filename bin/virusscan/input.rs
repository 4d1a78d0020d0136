//! What is opened before the process is confined: signatures, the scratch file, messages.

use crate::args::{DEFAULT_DB, Options};
use anyhow::{Context, Result};
use penny_scan::scratch::Scratch;
use penny_scan::sig::{Db, compile};
use penny_sys::files::Map;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::path::Path;

/// Files up to this size are read, larger ones mapped.
const READ_MAX: u64 = 1 << 20;
/// Longest input taken from a pipe.
const PIPE_MAX: u64 = 1 << 30;

/// Signatures, mapped or built in.
pub enum Signatures {
    /// A compiled file.
    File(Map),
    /// The built-in set.
    Builtin(Vec<u8>),
}

impl Signatures {
    /// Opens what the options name, the default file if it exists, or the built-in set.
    pub fn open(o: &Options) -> Result<Signatures> {
        let path = match &o.db {
            Some(path) => path.as_path(),
            None if Path::new(DEFAULT_DB).exists() => Path::new(DEFAULT_DB),
            None => return Ok(Signatures::Builtin(compile::builtin_only())),
        };
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let map = Map::of(&file).with_context(|| format!("cannot map {}", path.display()))?;
        Ok(Signatures::File(map))
    }

    /// The signatures ready for use.
    pub fn db(&self) -> Result<Db<'_>> {
        let bytes = match self {
            Signatures::File(map) => map.bytes(),
            Signatures::Builtin(bytes) => bytes,
        };
        Db::open(bytes).context("not a file made by virusscan --compile")
    }

    /// Size of the mapping.
    pub fn len(&self) -> usize {
        match self {
            Signatures::File(map) => map.bytes().len(),
            Signatures::Builtin(bytes) => bytes.len(),
        }
    }
}

/// The bytes of one input.
pub enum Bytes {
    /// Read.
    Heap(Vec<u8>),
    /// Mapped.
    Map(Map),
}

impl Bytes {
    /// Takes an open file from its start: maps a large one, reads anything else. Uses lseek(2) alone to find out which,
    /// for a confined process cannot stat.
    pub fn of(mut file: &File) -> std::io::Result<Bytes> {
        let len = file.seek(SeekFrom::End(0)).ok();
        if len.is_some() {
            file.seek(SeekFrom::Start(0))?;
        }
        if let Some(len) = len.filter(|l| *l > READ_MAX) {
            return Ok(Bytes::Map(Map::passing(file, 0, usize::try_from(len).unwrap_or(usize::MAX))?));
        }
        let mut data = Vec::with_capacity(len.unwrap_or(0) as usize + 1);
        Read::by_ref(&mut file).take(PIPE_MAX + 1).read_to_end(&mut data)?;
        if data.len() as u64 > PIPE_MAX {
            return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "more than 1 GiB from a pipe"));
        }
        Ok(Bytes::Heap(data))
    }

    /// The octets.
    pub fn get(&self) -> &[u8] {
        match self {
            Bytes::Heap(v) => v,
            Bytes::Map(m) => m.bytes(),
        }
    }
}

/// Standard input as a seekable file: a pipe is copied first, for clamd and we may both want to read it.
pub fn stdin() -> Result<File> {
    let file = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    let mut copy = unnamed().context("no room for a copy of standard input")?;
    std::io::copy(&mut file.take(PIPE_MAX), &mut copy)?;
    copy.seek(SeekFrom::Start(0))?;
    Ok(copy)
}

/// A scratch file in $TMPDIR, /tmp or /var/tmp, else in memory.
pub fn scratch() -> Scratch {
    Scratch::new(unnamed())
}

fn unnamed() -> Option<File> {
    let dirs = [std::env::var_os("TMPDIR").unwrap_or_default(), "/tmp".into(), "/var/tmp".into()];
    let file = dirs.iter().filter(|d| !d.is_empty()).find_map(|d| penny_sys::fs::tmpfile(Path::new(d), 0o600).ok());
    file.or_else(|| penny_sys::fs::memory_file("virusscan").ok())
}

/// For the listener that opens the paths it is asked for: all files can be read, none written or executed.
pub fn confine_to_reading(o: &Options) -> Result<()> {
    if o.unconfined {
        return Ok(());
    }
    penny_sys::confine::read_only().context("cannot confine this process")?;
    Ok(())
}

/// Gives up everything but the open descriptors, memory and time.
pub fn confine(o: &Options, signatures: &Signatures, sockets: bool) -> Result<()> {
    if o.unconfined {
        return Ok(());
    }
    let time = o.limits.time.as_secs().saturating_mul(2).saturating_add(30);
    let memory = (signatures.len() as u64).saturating_add(o.limits.object.saturating_mul(8)).saturating_add(1 << 30);
    penny_sys::confine::limit_cpu(time)?;
    penny_sys::confine::limit_memory(memory)?;
    // no file at all, by Landlock too where the kernel has it: the list of system calls is not the only fence
    penny_sys::confine::paths_only(&[], &[]).context("cannot confine this process")?;
    if sockets {
        penny_sys::confine::network_conversation().context("cannot confine this process")
    } else {
        penny_sys::confine::pure_filter().context("cannot confine this process")
    }
}
