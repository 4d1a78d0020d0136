//! Text as rules compare it: lower case, accents and look-alike letters folded, one space between words.
//!
//! Invariants  1. output is ASCII letters, digits, `$`, `%`, `@` and single spaces, with one at each end, except that letters of other
//!             scripts stay as they are   2. linear in the input, output at most as long as the input allows

/// Folded text and the tricks met on the way.
#[derive(Debug, Default, Clone)]
pub struct Folded {
    /// ` words with single spaces `.
    pub text: String,
    /// Invisible characters inside words.
    pub invisible: usize,
    /// Letters from fancy alphabets (mathematical, full-width, enclosed).
    pub fancy: usize,
    /// Words that mix Latin with Cyrillic or Greek.
    pub mixed: usize,
}

/// Folds at most `limit` octets.
pub fn fold(bytes: &[u8], limit: usize) -> Folded {
    let text = String::from_utf8_lossy(bytes.get(..limit).unwrap_or(bytes));
    let mut out = Folded { text: String::with_capacity(text.len() + 2), ..Folded::default() };
    out.text.push(' ');
    let mut word = Word::default();
    for c in text.chars() {
        if c.is_ascii() {
            out.ascii(c, &mut word);
        } else {
            out.other(c, &mut word);
        }
    }
    out.space(&mut word);
    out
}

/// Scripts met in the word at hand.
#[derive(Default)]
struct Word {
    latin: bool,
    alike: bool,
    any: bool,
}

impl Folded {
    fn ascii(&mut self, c: char, word: &mut Word) {
        if c.is_ascii_alphanumeric() || matches!(c, '$' | '%' | '@') {
            word.latin |= c.is_ascii_alphabetic();
            self.push(c.to_ascii_lowercase(), word);
        } else if c != '\'' {
            self.space(word);
        }
    }

    fn other(&mut self, c: char, word: &mut Word) {
        if is_invisible(c) {
            self.invisible += usize::from(word.any);
        } else if let Some(base) = accent(c) {
            word.latin = true;
            base.chars().for_each(|b| self.push(b, word));
        } else if let Some(base) = fancy(c) {
            self.fancy += 1;
            self.push(base, word);
        } else if let Some(base) = alike(c) {
            word.alike = true;
            self.push(base, word);
        } else if c.is_alphabetic() {
            self.push(c.to_lowercase().next().unwrap_or(c), word);
        } else if c != '\u{2019}' {
            self.space(word);
        }
    }

    fn push(&mut self, c: char, word: &mut Word) {
        word.any = true;
        self.text.push(c);
    }

    fn space(&mut self, word: &mut Word) {
        self.mixed += usize::from(word.latin && word.alike);
        *word = Word::default();
        if !self.text.ends_with(' ') {
            self.text.push(' ');
        }
    }
}

/// Characters that take no room: soft hyphen, zero-width ones, direction marks, variation selectors.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{34F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}'
        | '\u{FEFF}' | '\u{FE00}'..='\u{FE0F}' | '\u{180E}')
}

fn accent(c: char) -> Option<&'static str> {
    Some(match c {
        'à'..='å' | 'À'..='Å' | 'ā' | 'ă' | 'ą' | 'Ą' => "a",
        'ç' | 'Ç' | 'ć' | 'č' | 'Č' => "c",
        'è'..='ë' | 'È'..='Ë' | 'ē' | 'ę' | 'ě' => "e",
        'ì'..='ï' | 'Ì'..='Ï' | 'ī' | 'ı' | 'İ' => "i",
        'ñ' | 'Ñ' | 'ń' | 'ň' => "n",
        'ò'..='ö' | 'Ò'..='Ö' | 'ø' | 'Ø' | 'ō' | 'ő' => "o",
        'ù'..='ü' | 'Ù'..='Ü' | 'ū' | 'ů' | 'ű' => "u",
        'ý' | 'ÿ' | 'Ý' => "y",
        'ß' => "ss",
        'æ' | 'Æ' => "ae",
        'œ' | 'Œ' => "oe",
        'ś' | 'š' | 'Š' | 'ş' => "s",
        'ź' | 'ż' | 'ž' | 'Ž' => "z",
        'ł' | 'Ł' => "l",
        'ř' => "r",
        'ğ' => "g",
        'đ' => "d",
        'ť' => "t",
        _ => return None,
    })
}

/// Mathematical, full-width and enclosed letters and digits.
fn fancy(c: char) -> Option<char> {
    let code = u32::from(c);
    let letter = |n: u32| char::from_u32(u32::from(b'a') + n % 26);
    match code {
        0x1D400..=0x1D6A3 => letter((code - 0x1D400) % 52),
        0x1D7CE..=0x1D7FF => char::from_digit((code - 0x1D7CE) % 10, 10),
        0xFF10..=0xFF19 => char::from_digit(code - 0xFF10, 10),
        0xFF21..=0xFF3A => letter(code - 0xFF21),
        0xFF41..=0xFF5A => letter(code - 0xFF41),
        0x24B6..=0x24E9 => letter(code - 0x24B6),
        0x1F130..=0x1F149 | 0x1F150..=0x1F169 | 0x1F170..=0x1F189 => letter((code - 0x1F130) % 32),
        _ => None,
    }
}

/// Cyrillic and Greek letters that look like Latin ones.
fn alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'А' | 'α' | 'Α' => 'a',
        'В' | 'Β' => 'b',
        'с' | 'С' => 'c',
        'ԁ' => 'd',
        'е' | 'Е' | 'Ε' => 'e',
        'Н' | 'Η' => 'h',
        'і' | 'І' | 'ι' | 'Ι' => 'i',
        'ј' | 'Ј' => 'j',
        'к' | 'К' | 'κ' | 'Κ' => 'k',
        'М' | 'Μ' => 'm',
        'ո' | 'Ν' => 'n',
        'о' | 'О' | 'ο' | 'Ο' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ѕ' | 'Ѕ' => 's',
        'Т' | 'Τ' => 't',
        'υ' => 'u',
        'ν' => 'v',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'Υ' => 'y',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding() {
        assert_eq!(fold("Véri\u{200B}fy  YOUR,Account!".as_bytes(), 99).text, " verify your account ");
        assert_eq!(fold("Véri\u{200B}fy".as_bytes(), 99).invisible, 1);
        assert_eq!(fold("don't — $500".as_bytes(), 99).text, " dont $500 ");
        assert_eq!(fold(b"", 99).text, " ");
    }

    #[test]
    fn look_alikes() {
        let f = fold("Pаypal 𝐏𝐚𝐲 Привет".as_bytes(), 99); // the second letter is Cyrillic
        assert!(f.text.starts_with(" paypal pay "), "{}", f.text);
        assert_eq!((f.mixed, f.fancy), (1, 3));
    }

    #[test]
    fn cut_inside_a_character() {
        fold("é".as_bytes(), 1);
        fold(&[0xFF; 50], 20);
    }
}
