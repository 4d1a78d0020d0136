//! Places the walker wants to know: magics of containers at any offset, and words that begin encoded text.
//!
//! Why         they are found by the signature sweep itself, so polyglots, self-extractors and appended archives cost
//!             no pass of their own

use crate::sig::pattern::{self, Elem, Pattern, Piece, Segment};

/// One kind of place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Marker {
    /// Zip local header.
    ZipLocal = 1,
    /// Zip central directory entry.
    ZipCentral,
    /// Zip end of central directory.
    ZipEnd,
    /// 7z signature header.
    SevenZip,
    /// RAR 1.5 to 4.
    Rar4,
    /// RAR 5.
    Rar5,
    /// Microsoft cabinet.
    Cab,
    /// OLE2 compound file.
    Ole2,
    /// PDF header.
    Pdf,
    /// RTF header.
    Rtf,
    /// uuencode `begin`.
    Uu,
    /// yEnc `=ybegin`.
    Yenc,
    /// BinHex 4 banner.
    BinHex,
    /// `base64,` of a data: URI.
    Base64,
    /// RTF `\objdata`.
    ObjData,
    /// OneNote FileDataStoreObject.
    OneNote,
    /// gzip member.
    Gzip,
    /// xz stream.
    Xz,
    /// bzip2 stream.
    Bzip2,
    /// zstd frame.
    Zstd,
    /// TNEF.
    Tnef,
    /// lzip member.
    Lzip,
    /// ISO 9660 descriptor.
    Iso,
    /// ACE archive.
    Ace,
    /// ARJ main header.
    Arj,
    /// LHA member header method.
    Lha,
    /// A script that makes a file of its own data.
    Smuggle,
    /// A script that decodes a string.
    Decode,
    /// A VBA attribute line in compressed source.
    Vba,
}

impl Marker {
    /// All markers.
    pub const ALL: [Marker; 29] = [
        Marker::ZipLocal,
        Marker::ZipCentral,
        Marker::ZipEnd,
        Marker::SevenZip,
        Marker::Rar4,
        Marker::Rar5,
        Marker::Cab,
        Marker::Ole2,
        Marker::Pdf,
        Marker::Rtf,
        Marker::Uu,
        Marker::Yenc,
        Marker::BinHex,
        Marker::Base64,
        Marker::ObjData,
        Marker::OneNote,
        Marker::Gzip,
        Marker::Xz,
        Marker::Bzip2,
        Marker::Zstd,
        Marker::Tnef,
        Marker::Lzip,
        Marker::Iso,
        Marker::Ace,
        Marker::Arj,
        Marker::Lha,
        Marker::Smuggle,
        Marker::Decode,
        Marker::Vba,
    ];

    /// The marker stored as this number.
    pub fn from_number(n: u16) -> Option<Marker> {
        Marker::ALL.into_iter().find(|m| *m as u16 == n)
    }

    /// The patterns that stand for it.
    pub fn patterns(self) -> Vec<Pattern> {
        let hex: &[&[u8]] = match self {
            Marker::ZipLocal => &[b"504b0304"],
            Marker::ZipCentral => &[b"504b0102"],
            Marker::ZipEnd => &[b"504b0506"],
            Marker::SevenZip => &[b"377abcaf271c"],
            Marker::Rar4 => &[b"526172211a0700"],
            Marker::Rar5 => &[b"526172211a070100"],
            Marker::Cab => &[b"4d53434600000000"],
            Marker::Ole2 => &[b"d0cf11e0a1b11ae1"],
            Marker::OneNote => &[b"e716e3bd65261145a4c48d4d0b7a9eac"],
            Marker::Xz => &[b"fd377a585a00"],
            Marker::Bzip2 => &[b"425a683?314159265359"],
            Marker::Zstd => &[b"28b52ffd"],
            Marker::Tnef => &[b"789f3e22"],
            Marker::Lzip => &[b"4c5a495001"],
            Marker::Iso => &[b"4344303031"],
            Marker::Ace => &[b"2a2a4143452a2a"],
            Marker::Arj => &[b"60ea??00"],
            Marker::Lha => &[b"2d6c683?2d", b"2d6c68642d", b"2d6c68782d", b"2d6c7a3?2d", b"2d6c7a732d"],
            Marker::Vba => &[b"0041747472696275740065"],
            Marker::Gzip => return gzip(),
            _ => return self.words().iter().filter_map(|w| word(w, self.keeps_case())).collect(),
        };
        hex.iter().filter_map(|h| pattern::parse(h).ok()).collect()
    }

    fn keeps_case(self) -> bool {
        matches!(self, Marker::Pdf | Marker::Yenc | Marker::Uu)
    }

    fn words(self) -> &'static [&'static [u8]] {
        match self {
            Marker::Pdf => &[b"%PDF-"],
            Marker::Rtf => &[b"{\\rt"],
            Marker::Uu => &[
                b"begin 0",
                b"begin 1",
                b"begin 2",
                b"begin 3",
                b"begin 4",
                b"begin 5",
                b"begin 6",
                b"begin 7",
                b"begin-base64 ",
            ],
            Marker::Yenc => &[b"=ybegin "],
            Marker::BinHex => &[b"with BinHex"],
            Marker::Base64 => &[b"base64,"],
            Marker::ObjData => &[b"\\objdata"],
            Marker::Smuggle => &[b"createObjectURL", b"msSaveOrOpenBlob", b"msSaveBlob"],
            Marker::Decode => &[b"atob(", b"fromCharCode", b"Uint8Array", b"unescape(", b"base64ToArrayBuffer"],
            _ => &[],
        }
    }
}

fn word(text: &[u8], keeps_case: bool) -> Option<Pattern> {
    let hex: String = text.iter().map(|b| format!("{b:02x}")).collect();
    let mut p = pattern::parse(hex.as_bytes()).ok()?;
    if !keeps_case {
        p.ignore_case();
    }
    Some(p)
}

/// 1f 8b 08 and a flag byte whose reserved bits are zero (RFC 1952 2.3.1.2).
fn gzip() -> Vec<Pattern> {
    let mut run: Vec<Elem> = [0x1f, 0x8b, 0x08].map(Elem::exact).to_vec();
    run.push(Elem { value: 0, mask: 0xe0 });
    vec![Pattern(vec![Segment { gap: (0, 0), piece: Piece::Fixed(run) }])]
}
