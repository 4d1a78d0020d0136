//! What a table's file is: text, its compiled form, or a program.
//!
//! Invariants  a file with an x bit is never read as text; a program that may not be run answers nothing (temporary)

use crate::behind::{Refused, Source};
use crate::compile::Compiled;
use crate::program::{Program, check, is_program};
use penny_base::log;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::rc::Rc;

/// Where the answers of a table come from.
#[derive(Debug)]
pub enum From {
    /// There is no file: an empty table.
    Nothing,
    /// Text that is to be read.
    Text,
    /// NAME.cdb.
    Compiled(Rc<Compiled>),
    /// A program; or one that may not be run, and then why.
    Program(Result<(), String>),
}

/// Looks at a table's files. A compiled form that is of no use is logged.
pub fn of(directory: &Path, name: &str) -> io::Result<From> {
    let file = match std::fs::metadata(directory.join(name)) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(From::Nothing),
        other => other?,
    };
    if is_program(&file) {
        return Ok(From::Program(check(&file)));
    }
    match Compiled::open(directory, name, &file) {
        Ok(Some(compiled)) => Ok(From::Compiled(Rc::new(compiled))),
        Ok(None) => Ok(From::Text),
        Err(e) => {
            let path = crate::compile::path(directory, name);
            log::warning("table", None, &[("file", &path.display()), ("why", &e)]);
            Ok(From::Text)
        }
    }
}

impl From {
    /// The source to put behind the table; `None` for text. Only who may hold a program calls this.
    pub fn behind(self, directory: &Path, name: &str, config: &Path) -> Option<Rc<dyn Source>> {
        match self {
            From::Nothing | From::Text => None,
            From::Compiled(compiled) => Some(compiled),
            From::Program(Ok(())) => Some(Rc::new(Program::new(&directory.join(name), name, config))),
            From::Program(Err(why)) => {
                log::warning("table", None, &[("file", &directory.join(name).display()), ("why", &why)]);
                Some(Rc::new(Refused(why)))
            }
        }
    }
}
