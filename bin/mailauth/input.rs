//! The message on standard input: mapped when a filter chain gives a file nobody changes any more, else read.

use penny_base::Failure;
use penny_sys::files::Map;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;

/// Largest message read from a pipe; the configured size limit is far lower.
const PIPE_MAX: u64 = 1 << 30;

/// The octets of a message.
pub enum Input {
    /// A mapped file.
    Mapped(Map),
    /// What came through a pipe.
    Read(Vec<u8>),
}

impl Input {
    /// Takes standard input; `stable` says that nobody will change the file behind it.
    pub fn stdin(stable: bool) -> Result<Self, Failure> {
        let fd = std::io::stdin().as_fd().try_clone_to_owned().map_err(|e| Failure::io("standard input", &e))?;
        let mut file = File::from(fd);
        let regular = file.metadata().is_ok_and(|m| m.is_file() && m.len() > 0);
        let whole = stable && regular && file.stream_position().is_ok_and(|at| at == 0);
        if let Some(map) = whole.then(|| Map::of(&file).ok()).flatten() {
            return Ok(Self::Mapped(map));
        }
        let mut bytes = Vec::new();
        file.take(PIPE_MAX).read_to_end(&mut bytes).map_err(|e| Failure::io("standard input", &e))?;
        Ok(Self::Read(bytes))
    }

    /// The octets.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map.bytes(),
            Self::Read(bytes) => bytes,
        }
    }
}
