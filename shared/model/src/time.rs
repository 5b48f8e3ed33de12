use std::fmt;
use std::time::{Duration, SystemTime};

use crate::Invalid;
use crate::text::text_traits;

/// A moment, in whole seconds since the Unix epoch (the resolution of JWT and of DynamoDB's TTL).
/// `Display` is RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The end of the year 9999 (as far as every time zone has it): at that moment everything is overdue.
    pub const LATEST: Self = Self(253_402_207_200);

    /// Refuses what no RFC 3339 date can say (before the epoch, or after the year 9999).
    pub fn from_unix_seconds(seconds: i64) -> Result<Self, Invalid> {
        match jiff::Timestamp::from_second(seconds) {
            Ok(_) if seconds >= 0 => Ok(Self(seconds)),
            _ => Err(Invalid::new(format!("{seconds} is not a time in seconds since 1970"))),
        }
    }

    /// From the one spelling that `Display` gives, such as `2026-11-22T12:00:00Z`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let moment = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
        let parsed = moment.and_then(|seconds| Self::from_unix_seconds(seconds).ok());
        parsed
            .filter(|time| time.to_string() == text)
            .ok_or_else(|| Invalid::new("a time is written like 2026-11-22T12:00:00Z"))
    }

    /// This moment, earlier by `duration`; stays at the epoch rather than passing it.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(seconds).max(0))
    }

    /// Seconds since the Unix epoch.
    pub fn as_unix_seconds(self) -> i64 {
        self.0
    }

    /// This moment, later by `duration`; stays at the end of the year 9999 rather than passing it.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(seconds).min(Self::LATEST.0))
    }

    /// How long from here until `later`; zero when that has passed.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(u64::try_from(later.0 - self.0).unwrap_or(0))
    }

    /// For a person: `Sunday 22 November 2026, 20:43 UTC`.
    pub fn for_people(self) -> String {
        self.format("%A %-d %B %Y, %H:%M UTC")
    }

    fn format(self, pattern: &str) -> String {
        let moment = jiff::Timestamp::from_second(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        moment.strftime(pattern).to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

text_traits!(Timestamp);

impl TryFrom<SystemTime> for Timestamp {
    type Error = Invalid;

    /// The second that it is in. Refuses what is before 1970 or after the year 9999.
    fn try_from(time: SystemTime) -> Result<Self, Self::Error> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let since = since.map_err(|_| Invalid::new("a time before 1970"))?;
        Self::from_unix_seconds(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }
}

/// A span of time to the second, like `2 h 5 min 9 s`. To the second, so that no two answers that tell it are alike: some
/// hosts stop an agent that gets the same answer several times.
pub fn to_the_second(span: Duration) -> String {
    let seconds = span.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min")];
    let mut said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    said.push(format!("{} s", seconds % 60));
    said.join(" ")
}

/// How long to leave a request alone that has been open for so long: a human who has not answered at once answers in minutes,
/// or in hours.
pub fn come_back_after(open_for: Duration) -> Duration {
    Duration::from_secs(match open_for.as_secs() {
        ..300 => 30,
        300..3600 => 120,
        _ => 600,
    })
}

/// How long an approval token is valid after the approval: 60 seconds to 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenLifetime(Duration);

impl TokenLifetime {
    /// `seconds` from 60 to 86,400.
    pub fn from_seconds(seconds: u64) -> Result<Self, Invalid> {
        if (60..=86_400).contains(&seconds) {
            Ok(Self(Duration::from_secs(seconds)))
        } else {
            Err(Invalid::new("a token's lifetime is 60 to 86400 seconds"))
        }
    }

    /// From a setting's text.
    pub fn parse_seconds(text: &str) -> Result<Self, Invalid> {
        let seconds =
            text.parse().map_err(|_| Invalid::new("a token's lifetime is a whole number of seconds"))?;
        Self::from_seconds(seconds)
    }

    /// The lifetime.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// For a person: `1 hour`, `90 minutes`, `45 seconds`.
    pub fn for_people(self) -> String {
        let seconds = self.0.as_secs();
        let (count, unit) = match seconds {
            s if s % 3600 == 0 => (s / 3600, "hour"),
            s if s % 60 == 0 => (s / 60, "minute"),
            s => (s, "second"),
        };
        format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
    }
}

impl Default for TokenLifetime {
    /// One hour.
    fn default() -> Self {
        Self(Duration::from_secs(3600))
    }
}

/// How long an answered approval stays readable after its deadline: 1 to 3,650 days, the operator's choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(Duration);

impl Retention {
    /// `days` from 1 to 3,650.
    pub fn from_days(days: u64) -> Result<Self, Invalid> {
        if (1..=3650).contains(&days) {
            Ok(Self(Duration::from_secs(days * 86_400)))
        } else {
            Err(Invalid::new("a retention is 1 to 3650 days"))
        }
    }

    /// From a setting's text.
    pub fn parse_days(text: &str) -> Result<Self, Invalid> {
        let days = text.parse().map_err(|_| Invalid::new("a retention is a whole number of days"))?;
        Self::from_days(days)
    }

    /// The retention.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Default for Retention {
    /// Ninety days.
    fn default() -> Self {
        Self(Duration::from_secs(90 * 86_400))
    }
}
