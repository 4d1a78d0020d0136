//! Helpers of this crate's tests.
use crate::reader::{Event, Framed, Limits, Reader};

/// Frames one command, literals accepted.
pub fn framed(text: &[u8]) -> Framed {
    let mut reader = Reader::new(Limits::default());
    reader.feed(text);
    reader.feed(b"\r\n");
    loop {
        match reader.next_event() {
            Event::Literal(_) => assert!(reader.accept()),
            Event::Command(command) => return command,
            other => panic!("{other:?}"),
        }
    }
}

/// Parses one command without its tag.
pub fn command(text: &str) -> Result<crate::Command, crate::parse::Bad> {
    let f = framed(format!("a {text}").as_bytes());
    crate::command::parse(&f).map(|t| t.command).map_err(|e| e.bad)
}
