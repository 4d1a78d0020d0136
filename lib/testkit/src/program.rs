//! Finds the program under test.
//!
//! Order  $PENNYPOST_BIN/<name> (the installed tree `make test` points at), else the path cargo gave the calling test.

use std::path::PathBuf;

/// The path of program `name`; `built` is what cargo knows (use the [`program!`](crate::program!) macro).
///
/// # Panics
/// When neither place has it: the test could only prove nothing.
pub fn find(name: &str, built: Option<&str>) -> PathBuf {
    if let Some(dir) = std::env::var_os("PENNYPOST_BIN") {
        let path = PathBuf::from(dir).join(name);
        assert!(path.is_file(), "PENNYPOST_BIN has no {name}: {}", path.display());
        return path;
    }
    match built {
        Some(path) => PathBuf::from(path),
        None => beside(name).unwrap_or_else(|| panic!("program {name} is not built; set PENNYPOST_BIN")),
    }
}

/// A program beside the test's own target directory: for library tests, which cargo tells nothing about binaries.
fn beside(name: &str) -> Option<PathBuf> {
    let exe = std::env::current_exe().ok()?;
    let path = exe.parent()?.parent()?.join(name);
    path.is_file().then_some(path)
}

/// The path of a program under test: `program!("deliver")`.
#[macro_export]
macro_rules! program {
    ($name:literal) => {
        $crate::program::find($name, option_env!(concat!("CARGO_BIN_EXE_", $name)))
    };
}

/// The directory of the programs under test.
#[macro_export]
macro_rules! programs {
    () => {
        $crate::program!("pennypost").parent().expect("a directory of programs").to_path_buf()
    };
}
