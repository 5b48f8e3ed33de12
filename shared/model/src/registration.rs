//! What the operator registers beside the agents themselves.

use std::fmt;
use std::time::Duration;

use crate::invalid::check_prose;
use crate::{AgentKeyHash, Invalid};

/// How long an agent's old keys go on after a new one is made: none, or up to 30 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap(Duration);

impl Overlap {
    /// From its text, one number and no more (`humantime` takes `1h 5m 3ns`): a whole number and its unit, such as `90s`, `30m`, `24h` or `7d`; `0` is none.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let most = Duration::from_secs(30 * 86_400);
        let (count, unit) = match text.char_indices().next_back() {
            Some((_, '0')) if text == "0" => ("0", 1),
            Some((at, 's')) => (&text[..at], 1),
            Some((at, 'm')) => (&text[..at], 60),
            Some((at, 'h')) => (&text[..at], 3_600),
            Some((at, 'd')) => (&text[..at], 86_400),
            _ => ("", 1),
        };
        let digits = !count.is_empty() && count.bytes().all(|digit| digit.is_ascii_digit());
        let seconds = count.parse::<u64>().ok().filter(|_| digits).and_then(|count| count.checked_mul(unit));
        seconds.map(Duration::from_secs).filter(|duration| *duration <= most).map(Self).ok_or_else(|| {
            Invalid::new("an overlap is written like 90s, 30m, 24h or 7d, and is at most 30d; 0 is none")
        })
    }

    /// The time.
    pub fn duration(self) -> Duration {
        self.0
    }
}

/// What a gate stands in front of, in the operator's words: 1 to 200 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateDescription(String);

impl GateDescription {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        check_prose("description", text, 200, &[])?;
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What people call a key: the first eight digits of its hash. It tells an agent's keys apart and says nothing of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyLabel(String);

impl From<AgentKeyHash> for KeyLabel {
    fn from(hash: AgentKeyHash) -> Self {
        Self(hash.to_string().chars().take(8).collect())
    }
}

impl fmt::Display for KeyLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Overlap;

    #[test]
    fn an_overlap_is_a_number_and_its_unit() {
        let fine = [("0", 0), ("0s", 0), ("90s", 90), ("30m", 1_800), ("24h", 86_400), ("30d", 2_592_000)];
        for (text, seconds) in fine {
            assert_eq!(Overlap::parse(text).map(|o| o.duration().as_secs()), Ok(seconds), "{text}");
        }
        let wrong = [
            "",
            "24",
            "h",
            "1 h",
            "-1h",
            "+1h",
            "1.5h",
            "31d",
            "24H",
            "1h30m",
            "99999999999999999999d",
            "1ö",
        ];
        for text in wrong {
            assert!(Overlap::parse(text).is_err(), "{text}");
        }
    }
}
