//! Outcome to exit code and back, in one place.
//!
//! Standard    sysexits(3), qmail-command(8), the UCSPI convention (100 permanent, 111 temporary)
//! Invariants  1. every temporary failure of `Sysexits` is exactly 75: Postfix takes only 71 and 75 as soft
//!             2. an unknown code of a child, a signal and a time-out are temporary: a broken script loses no mail

use penny_sys::process::Ended;

/// How a program tells its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convention {
    /// sysexits: sendmail, deliver as an MDA, tools.
    Sysexits,
    /// qmail-command: programs run from delivery rules.
    Qmail,
    /// 100 and 111: daemons and chain-loaded programs.
    Ucspi,
}

/// Why something will never work, or not now; the sysexits names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Wrong command line (64).
    Usage,
    /// The data is wrong (65).
    Data,
    /// No such user (67).
    NoUser,
    /// No such host (68).
    NoHost,
    /// The service is not available, for good (69).
    Unavailable,
    /// An internal fault (70).
    Software,
    /// The other side broke the protocol (76).
    Protocol,
    /// Not permitted (77).
    Permission,
    /// The configuration is wrong (78).
    Config,
}

impl Kind {
    fn sysexit(self) -> u8 {
        match self {
            Kind::Usage => 64,
            Kind::Data => 65,
            Kind::NoUser => 67,
            Kind::NoHost => 68,
            Kind::Unavailable => 69,
            Kind::Software => 70,
            Kind::Protocol => 76,
            Kind::Permission => 77,
            Kind::Config => 78,
        }
    }
}

/// How a program's work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Success.
    Done,
    /// Success, and the remaining delivery rules are skipped.
    DoneStop,
    /// Will never work.
    Permanent(Kind),
    /// Try again later.
    Temporary,
    /// A code with a meaning of its own (a filter's verdict, spamcheck's 0 to 3).
    Code(u8),
}

impl Outcome {
    /// The exit code under `convention`.
    pub fn code(self, convention: Convention) -> u8 {
        match (self, convention) {
            (Outcome::Done, _) => 0,
            (Outcome::DoneStop, Convention::Qmail) => 99,
            (Outcome::DoneStop, _) => 0,
            (Outcome::Permanent(kind), Convention::Sysexits) => kind.sysexit(),
            (Outcome::Permanent(_), _) => 100,
            (Outcome::Temporary, Convention::Sysexits) => 75,
            (Outcome::Temporary, _) => 111,
            (Outcome::Code(c), _) => c,
        }
    }

    /// What a delivery program's end means (EXAMPLES of qmail and sysexits; the unknown is soft).
    pub fn of_child(ended: Ended) -> Outcome {
        match ended {
            Ended::Code(0) => Outcome::Done,
            Ended::Code(99) => Outcome::DoneStop,
            Ended::Code(64) => Outcome::Permanent(Kind::Usage),
            Ended::Code(65 | 66) => Outcome::Permanent(Kind::Data),
            Ended::Code(67) => Outcome::Permanent(Kind::NoUser),
            Ended::Code(68) => Outcome::Permanent(Kind::NoHost),
            Ended::Code(69 | 100 | 112) => Outcome::Permanent(Kind::Unavailable),
            Ended::Code(70) => Outcome::Permanent(Kind::Software),
            Ended::Code(76) => Outcome::Permanent(Kind::Protocol),
            Ended::Code(77) => Outcome::Permanent(Kind::Permission),
            Ended::Code(78) => Outcome::Permanent(Kind::Config),
            Ended::Code(_) | Ended::Signal(_) => Outcome::Temporary,
        }
    }

    /// True for [`Outcome::Done`] and [`Outcome::DoneStop`].
    pub fn is_done(self) -> bool {
        matches!(self, Outcome::Done | Outcome::DoneStop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_is_75_for_sysexits_and_111_elsewhere() {
        assert_eq!(Outcome::Temporary.code(Convention::Sysexits), 75);
        assert_eq!(Outcome::Temporary.code(Convention::Ucspi), 111);
        assert_eq!(Outcome::Permanent(Kind::NoUser).code(Convention::Qmail), 100);
    }

    #[test]
    fn unknown_ends_are_soft() {
        for code in [1, 2, 71, 72, 73, 74, 75, 79, 101, 111, 127, 255] {
            assert_eq!(Outcome::of_child(Ended::Code(code)), Outcome::Temporary, "{code}");
        }
        assert_eq!(Outcome::of_child(Ended::Signal(9)), Outcome::Temporary);
        for code in [64, 65, 66, 67, 68, 69, 70, 76, 77, 78, 100, 112] {
            assert!(matches!(Outcome::of_child(Ended::Code(code)), Outcome::Permanent(_)), "{code}");
        }
    }
}
