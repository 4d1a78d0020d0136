//! The signatures that are always there: test strings, a few structural rules, and the walker's markers.
//!
//! Why         the scanner must do its first job (EICAR refused by name, archives found at any offset) with no
//!             database installed, and the markers ride on the same sweep at no cost
//! Source      the EICAR string is the public anti-malware test file of eicar.org; the rules are our own

use super::build::Builder;
use super::lines;
use super::pattern;
use super::place::{Place, Target};
use crate::marker::Marker;

/// `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*`, kept in two halves so that this program is
/// not a find itself.
const EICAR: [&[u8]; 2] = [b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD", b"-ANTIVIRUS-TEST-FILE!$H+H*"];

/// Structural rules, in .ldb form.
const RULES: &[&str] = &[
    // RTF that carries the equation editor's class: CVE-2017-11882 and its kin; nobody mails such equations as RTF
    "Exploit.RTF.EquationEditor;Target:0;0&1;0:7b5c7274;4571756174696f6e2e33::ia",
    // the same class as hexadecimal object data in RTF
    "Exploit.RTF.EquationObject;Target:0;0&1;0:7b5c7274;3435373137353631373436393666366532653333",
    // a shortcut that starts a shell with an encoded or hidden command
    "Trojan.LNK.Shell;Target:0;0&(1|2)&(3|4|5);0:4c0000000114020000000000c000000000000046;706f7765727368656c6c::iwa;\
     636d642e657865::iwa;2d656e63::iwa;68696464656e::iwa;687474703a::iwa",
];

/// Adds the built-in set; with `bare`, only the markers.
pub fn add(builder: &mut Builder, bare: bool) {
    for marker in Marker::ALL {
        for pattern in marker.patterns() {
            // markers are constants with good anchors; a unit test compiles each
            let _ = builder.marker(marker as u16, &pattern);
        }
    }
    if bare {
        return;
    }
    let hex: String = EICAR.concat().iter().map(|b| format!("{b:02x}")).collect();
    if let Ok(pattern) = pattern::parse(hex.as_bytes()) {
        let _ = builder.body("Eicar-Test", Target::ANY, Place::ANY, &pattern);
    }
    for rule in RULES {
        let _ = lines::add(builder, "ldb", rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_and_marker_compiles() {
        let mut b = Builder::default();
        for rule in RULES {
            assert_eq!(lines::add(&mut b, "ldb", rule), Ok(()), "{rule}");
        }
        for marker in Marker::ALL {
            assert!(!marker.patterns().is_empty(), "{marker:?}");
            for p in marker.patterns() {
                assert_eq!(b.marker(marker as u16, &p), Ok(()), "{marker:?}");
            }
        }
    }
}
