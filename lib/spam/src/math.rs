//! ln and exp, so that scores are the same to the last digit with every C library, and starting the program need not load
//! one library more.
//!
//! Invariants  1. exact to a few units in the last place over the range used (tests compare with the standard library)
//!             2. defined for every input: ln of zero or less is minus infinity, exp saturates

/// The natural logarithm.
pub fn ln(x: f64) -> f64 {
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if !x.is_finite() {
        return x;
    }
    // subnormal numbers are scaled up first
    let (x, shift) = if x < f64::MIN_POSITIVE { (x * (1u64 << 54) as f64, -54.0) } else { (x, 0.0) };
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) as i64 - 1023) as f64 + shift;
    let mut m = f64::from_bits(bits & 0x000F_FFFF_FFFF_FFFF | 1023 << 52);
    if m > std::f64::consts::SQRT_2 {
        m /= 2.0;
        exponent += 1.0;
    }
    // ln m = 2 (s + s^3/3 + s^5/5 ...) with s = (m-1)/(m+1), |s| < 0.172
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let series = (1..=11).rev().fold(0.0, |sum, k| sum * square + 1.0 / f64::from(2 * k - 1));
    exponent * std::f64::consts::LN_2 + 2.0 * s * series
}

/// The exponential function.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() || x > 709.0 {
        return if x.is_nan() { x } else { f64::INFINITY };
    }
    if x < -700.0 {
        return 0.0;
    }
    // ln 2 in two pieces, so that little is lost in the difference
    const HIGH: f64 = 6.931_471_803_691_238e-1;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    let scaled = x * std::f64::consts::LOG2_E;
    let k = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i64;
    let r = (x - k as f64 * HIGH) - k as f64 * LOW;
    let series = (1..=14).rev().fold(1.0, |sum, n| 1.0 + sum * r / f64::from(n));
    series * f64::from_bits(((k + 1023) as u64) << 52)
}

/// The logarithm to base 10.
pub fn log10(x: f64) -> f64 {
    ln(x) / std::f64::consts::LN_10
}

/// Ten to the power `x`.
pub fn ten_to(x: f64) -> f64 {
    exp(x * std::f64::consts::LN_10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 4e-15 * b.abs().max(1e-3)
    }

    #[test]
    fn agree_with_the_standard_library() {
        let mut x = 1e-300;
        while x < 1e300 {
            assert!(close(ln(x), x.ln()), "ln {x}: {} {}", ln(x), x.ln());
            x *= 1.37;
        }
        let mut x = -690.0;
        while x < 700.0 {
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-13, "exp {x}");
            x += 0.173;
        }
        assert!(close(log10(1000.0), 3.0) && close(ten_to(-3.0), 1e-3));
    }

    #[test]
    fn edges() {
        assert_eq!((ln(0.0), ln(-1.0), ln(1.0)), (f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0));
        assert_eq!((exp(-1e9), exp(0.0), exp(1e9)), (0.0, 1.0, f64::INFINITY));
        assert!(ln(f64::NAN).is_nan() && exp(f64::NAN).is_nan());
        assert!(close(ln(5e-324), 5e-324f64.ln()));
    }
}
