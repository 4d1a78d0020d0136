//! U-labels to A-labels: lower-casing and Punycode.
//!
//! Standards   RFC 3492 (Punycode), RFC 5890 2.3.2.1 (A-label), RFC 5891 5.5 (look-up)
//! Not here    Unicode normalisation: RFC 5891 5.2 wants U-labels in NFC already, and a domain that is not gives an
//!             A-label that does not exist, which is the safe end

/// Bounds work on hostile input; a label that long could not fit 63 octets anyway.
const LABEL_CHARS_MAX: usize = 63;

/// Turns each non-ASCII label of a domain into its A-label; `None` when one can't be encoded.
pub fn to_ascii(domain: &str) -> Option<String> {
    // RFC 5895 2.3: the ideographic full stop separates labels too.
    let labels = domain.split(['.', '\u{3002}']).map(|label| {
        if label.is_ascii() {
            return Some(label.to_owned());
        }
        encode(&label.to_lowercase()).map(|tail| format!("xn--{tail}"))
    });
    Some(labels.collect::<Option<Vec<_>>>()?.join("."))
}

/// Punycode of one label, RFC 3492 6.3.
fn encode(label: &str) -> Option<String> {
    let chars: Vec<u32> = label.chars().map(u32::from).collect();
    if chars.len() > LABEL_CHARS_MAX {
        return None;
    }
    let mut out: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(out.len()).ok()?;
    if basic > 0 {
        out.push('-');
    }
    let (mut n, mut delta, mut bias, mut handled) = (128u32, 0u32, 72u32, basic);
    let total = u32::try_from(chars.len()).ok()?;
    while handled < total {
        let next = chars.iter().copied().filter(|&c| c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for &c in &chars {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c == n {
                variable_length(&mut out, delta, bias);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n = n.checked_add(1)?;
    }
    Some(out)
}

/// Writes one generalised variable-length integer, RFC 3492 3.3.
fn variable_length(out: &mut String, delta: u32, bias: u32) {
    let mut q = delta;
    let mut k = 36;
    loop {
        let t = k.clamp(bias + 1, bias + 26) - bias;
        if q < t {
            break;
        }
        out.push(digit(t + (q - t) % (36 - t)));
        q = (q - t) / (36 - t);
        k += 36;
    }
    out.push(digit(q));
}

/// 0..=25 are letters, 26..=35 digits (RFC 3492 5).
fn digit(value: u32) -> char {
    let base = if value < 26 { u32::from(b'a') } else { u32::from(b'0') - 26 };
    char::from_u32(base + value).unwrap_or('a')
}

/// Bias adaptation, RFC 3492 6.1.
fn adapt(delta: u32, points: u32, first: bool) -> u32 {
    let mut delta = if first { delta / 700 } else { delta / 2 };
    delta += delta / points;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_rfc_3492_section_7_1() {
        // (A) Arabic, (B) Chinese, (D) Czech (lower-cased), (L) Japanese with digits
        assert_eq!(encode("ليهمابتكلموشعربي؟").unwrap(), "egbpdaj6bu4bxfgehfvwxn");
        assert_eq!(encode("他们为什么不说中文").unwrap(), "ihqwcrb4cv8a8dqg056pqjye");
        assert_eq!(encode("pročprostěnemluvíčesky").unwrap(), "proprostnemluvesky-uyb24dma41a");
        assert_eq!(encode("3年b組金八先生").unwrap(), "3b-ww4c5e180e575a65lsy2b");
    }

    #[test]
    fn whole_domains() {
        assert_eq!(to_ascii("Bücher.Example").unwrap(), "xn--bcher-kva.Example");
        assert_eq!(to_ascii("例え。テスト").unwrap(), "xn--r8jz45g.xn--zckzah");
        assert!(to_ascii(&"ü".repeat(64)).is_none());
    }
}
