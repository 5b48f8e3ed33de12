use serde_json::Number;

use super::MAX_DIGITS;

/// Why a number is not what it says once a reader has parsed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inexact {
    TooLarge,
    TooPrecise,
}

/// 2^53 − 1, `Number.MAX_SAFE_INTEGER`; every double beyond it is an integer with neighbours it swallows.
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// The number that `text` (a JSON number) denotes, if every reader of JSON will denote the same: its magnitude
/// is at most [`LARGEST`] and the shortest text of the nearest double is the same decimal.
pub(super) fn exact(text: &str) -> Result<Number, Inexact> {
    let double: f64 = text.parse().map_err(|_| Inexact::TooPrecise)?;
    if double.abs() > LARGEST {
        return Err(Inexact::TooLarge);
    }
    // `{:e}` prints the shortest digits that parse back to the same double.
    let shortest = Decimal::parse(&format!("{double:e}"));
    match (Decimal::parse(text), shortest) {
        (Some(written), Some(held)) if written == held => number(double),
        // A magnitude just above the limit rounds down onto it.
        (Some(_), Some(_)) if double.abs() >= LARGEST => Err(Inexact::TooLarge),
        _ => Err(Inexact::TooPrecise),
    }
}

/// Whether `text` (a JSON number) has neither fraction nor exponent, and at most [`MAX_DIGITS`] digits: then one integer has
/// one text.
pub(super) fn is_written_out(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() <= MAX_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[expect(clippy::cast_possible_truncation, reason = "an integral double within ±(2^53−1) is exact as an i64")]
fn number(double: f64) -> Result<Number, Inexact> {
    if double.fract() == 0.0 {
        return Ok(Number::from(double as i64));
    }
    Number::from_f64(double).ok_or(Inexact::TooLarge)
}

/// A decimal without leading or trailing zeros: `digits × 10^exponent`; zero has no digits and no sign.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// `None` when the exponent itself is out of any range.
    fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0').trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let trailing = i64::try_from(all.len() - all.trim_end_matches('0').len()).ok()?;
        let fraction = i64::try_from(fraction.len()).ok()?;
        let exponent = exponent.parse::<i64>().ok()?.checked_sub(fraction)?.checked_add(trailing)?;
        Some(Self { negative, digits, exponent })
    }
}
