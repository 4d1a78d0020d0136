//! Mail: parts, encodings, names.
//!
//! Not here    penny-mime, the strict reader that other programs share; a scanner wants the union of all readings

pub mod base64;
pub mod binhex;
pub mod field;
pub mod flat;
pub mod params;
pub mod part;
pub mod qp;
pub mod tnef;
pub mod uu;
pub mod yenc;
