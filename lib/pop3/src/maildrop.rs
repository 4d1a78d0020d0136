//! The maildrop of one session: numbers, sizes, marks.
//!
//! Standards   RFC 1939 5 (numbers stay for the session; DELE only marks; RSET unmarks), 7 (UIDL)
//! Invariants  1. a marked message is invisible to every command but RSET and the end   2. nothing here deletes: [`Maildrop::marked`]
//!             is read once, at QUIT

/// A message as POP3 sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Octets as sent, CRLF line ends, RFC 1939 11.
    pub size: u64,
    /// 1 to 70 printable characters, RFC 1939 7.
    pub unique_id: String,
    /// Marked by DELE.
    pub marked: bool,
    /// Sent by RETR in this session.
    pub seen: bool,
}

/// All messages of a session, in order of number.
#[derive(Debug, Default)]
pub struct Maildrop {
    messages: Vec<Message>,
}

/// The number names no message, or a marked one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused;

impl Maildrop {
    /// The maildrop of these (size, unique id) pairs.
    pub fn new(messages: impl IntoIterator<Item = (u64, String)>) -> Self {
        let messages =
            messages.into_iter().map(|(size, unique_id)| Message { size, unique_id, marked: false, seen: false });
        Self { messages: messages.collect() }
    }

    /// Count and octets of the unmarked messages, RFC 1939 5 STAT.
    pub fn stat(&self) -> (usize, u64) {
        self.visible().fold((0, 0), |(n, octets), (_, m)| (n + 1, octets + m.size))
    }

    /// The unmarked messages with their numbers.
    pub fn visible(&self) -> impl Iterator<Item = (usize, &Message)> {
        self.messages.iter().enumerate().filter(|(_, m)| !m.marked).map(|(i, m)| (i + 1, m))
    }

    /// The position (number - 1) of an unmarked message.
    ///
    /// # Errors
    /// [`Refused`] when there is none.
    pub fn position(&self, number: u32) -> Result<usize, Refused> {
        let at = usize::try_from(number).ok().and_then(|n| n.checked_sub(1)).ok_or(Refused)?;
        self.messages.get(at).filter(|m| !m.marked).map(|_| at).ok_or(Refused)
    }

    /// The unmarked message of that number.
    ///
    /// # Errors
    /// [`Refused`] when there is none.
    pub fn message(&self, number: u32) -> Result<&Message, Refused> {
        self.messages.get(self.position(number)?).ok_or(Refused)
    }

    /// Marks a message as deleted.
    ///
    /// # Errors
    /// [`Refused`] when there is no unmarked message of that number.
    pub fn mark(&mut self, number: u32) -> Result<(), Refused> {
        let at = self.position(number)?;
        self.messages.get_mut(at).ok_or(Refused).map(|m| m.marked = true)
    }

    /// Remembers that a message was sent whole.
    pub fn saw(&mut self, position: usize) {
        if let Some(message) = self.messages.get_mut(position) {
            message.seen = true;
        }
    }

    /// RSET: unmarks all.
    pub fn reset(&mut self) {
        self.messages.iter_mut().for_each(|m| m.marked = false);
    }

    /// Positions of the marked messages.
    pub fn marked(&self) -> Vec<usize> {
        self.messages.iter().enumerate().filter(|(_, m)| m.marked).map(|(i, _)| i).collect()
    }

    /// Positions of the messages sent and not marked.
    pub fn seen(&self) -> Vec<usize> {
        self.messages.iter().enumerate().filter(|(_, m)| m.seen && !m.marked).map(|(i, _)| i).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Maildrop {
        Maildrop::new([(120, "a".to_owned()), (200, "b".to_owned())])
    }

    #[test]
    fn marks_hide_and_reset_shows() {
        let mut drop = two();
        assert_eq!(drop.stat(), (2, 320));
        assert_eq!(drop.mark(1), Ok(()));
        assert_eq!((drop.stat(), drop.mark(1), drop.position(1)), ((1, 200), Err(Refused), Err(Refused)));
        assert_eq!(drop.visible().map(|(n, _)| n).collect::<Vec<_>>(), [2], "numbers do not move");
        assert_eq!(drop.marked(), [0]);
        drop.reset();
        assert_eq!((drop.stat(), drop.marked()), ((2, 320), vec![]));
    }

    #[test]
    fn numbers_outside() {
        let drop = two();
        for n in [0, 3, u32::MAX] {
            assert_eq!(drop.position(n), Err(Refused));
        }
    }
}
