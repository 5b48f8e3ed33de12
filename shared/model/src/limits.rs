//! How much an agent may ask, and an approver be asked, so that neither a loop nor a flood reaches a human.

use std::time::Duration;

use crate::{Invalid, Outcome, Timestamp};

const HOUR: i64 = 3_600;

/// What a deployment allows. Only what would mail somebody is limited: a request that is pending may be asked for again,
/// checked and withdrawn without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// New requests of one agent in one hour of the clock.
    pub requests: HourlyLimit,
    /// New requests to one approver in one hour of the clock, whichever agents make them.
    pub mails: HourlyLimit,
    /// Requests of one agent that nobody has answered.
    pub pending: PendingLimit,
    /// How long a denied request cannot be made again.
    pub cool_down: CoolDown,
    /// Checks of one agent that wait for an answer at the same time.
    pub waits: WaitLimit,
}

impl Limits {
    /// Whether one agent alone can use up what an approver gets in an hour, but for what is kept for others.
    pub fn lets_one_agent_fill_an_hour(&self) -> bool {
        self.requests.get() >= self.mails.shared()
    }
}

impl Default for Limits {
    /// 20 requests and 60 mails an hour, 50 pending, ten minutes after a denial, and three checks that wait.
    fn default() -> Self {
        Self {
            requests: HourlyLimit(20),
            mails: HourlyLimit(60),
            pending: PendingLimit(50),
            cool_down: CoolDown(Duration::from_secs(600)),
            waits: WaitLimit(3),
        }
    }
}

fn within(text: &str, least: u32, most: u32) -> Result<u32, Invalid> {
    let fits = text.parse().ok().filter(|number| (least..=most).contains(number));
    fits.ok_or_else(|| Invalid::new(format!("must be a whole number from {least} to {most}")))
}

/// How often in an hour: 1 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HourlyLimit(u32);

impl HourlyLimit {
    /// From a setting's text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        within(text, 1, 10_000).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The part of an approver's hour that is first come, first served: all but the last quarter, which is kept for agents that
    /// have asked nothing in it.
    pub fn shared(self) -> u32 {
        self.0 - self.0 / 4
    }
}

/// How many checks of one agent wait at the same time: 1 to 100. Each holds a concurrent execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitLimit(u32);

impl WaitLimit {
    /// From a setting's text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        within(text, 1, 100).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// How long a check may wait: 0 to 50 seconds, because clients give up after 60.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongestWait(Duration);

impl LongestWait {
    /// From a setting's text, in seconds.
    pub fn parse_seconds(text: &str) -> Result<Self, Invalid> {
        within(text, 0, 50).map(|seconds| Self(Duration::from_secs(seconds.into())))
    }

    /// How long.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl Default for LongestWait {
    /// 50 seconds.
    fn default() -> Self {
        Self(Duration::from_secs(50))
    }
}

/// How many at once: 1 to 100, which is what one call to DynamoDB reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingLimit(u32);

impl PendingLimit {
    /// From a setting's text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        within(text, 1, 100).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// How long a no stands before the same may be asked again: nothing to a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoolDown(Duration);

impl CoolDown {
    /// From a setting's text, in seconds.
    pub fn parse_seconds(text: &str) -> Result<Self, Invalid> {
        within(text, 0, 86_400).map(|seconds| Self(Duration::from_secs(seconds.into())))
    }

    /// How long.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// How much of it is left after this outcome: nothing, unless it is a no.
    pub fn left(self, outcome: &Outcome, now: Timestamp) -> Duration {
        match outcome {
            Outcome::Denied(decision) => now.until(decision.at.plus(self.0)),
            Outcome::Approved { .. } | Outcome::Expired { .. } | Outcome::Withdrawn { .. } => Duration::ZERO,
        }
    }
}

/// An hour of the clock, in UTC: what is counted begins at zero with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hour(Timestamp);

impl Hour {
    /// The one that this moment is in.
    pub fn of(moment: Timestamp) -> Self {
        let seconds = moment.as_unix_seconds();
        Self(Timestamp::from_unix_seconds(seconds - seconds % HOUR).unwrap_or(moment))
    }

    /// Its first moment.
    pub fn starts_at(self) -> Timestamp {
        self.0
    }

    /// The first moment of the next.
    pub fn ends_at(self) -> Timestamp {
        self.0.plus(Duration::from_secs(HOUR.unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, ProvenBy};

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn an_hour_is_the_clocks() {
        for moment in ["2026-11-22T12:00:00Z", "2026-11-22T12:34:56Z", "2026-11-22T12:59:59Z"] {
            let hour = Hour::of(at(moment));
            assert_eq!(hour.starts_at(), at("2026-11-22T12:00:00Z"));
            assert_eq!(hour.ends_at(), at("2026-11-22T13:00:00Z"));
        }
        assert_eq!(Hour::of(at("1970-01-01T00:00:00Z")).starts_at(), at("1970-01-01T00:00:00Z"));
    }

    #[test]
    fn only_a_no_has_a_cool_down_and_it_ends() {
        let ten_minutes = Limits::default().cool_down;
        let no = |moment: &str| {
            Outcome::Denied(Decision {
                at: at(moment),
                proven_by: ProvenBy::EmailLink,
                passkey: None,
                note: None,
            })
        };
        let rows = [
            (no("2026-11-22T12:00:00Z"), 600),
            (no("2026-11-22T11:50:01Z"), 1),
            (no("2026-11-22T11:50:00Z"), 0),
            (no("2026-11-21T12:00:00Z"), 0),
            // Another machine's clock may be ahead.
            (no("2026-11-22T12:00:30Z"), 630),
            (Outcome::Expired { at: at("2026-11-22T12:00:00Z") }, 0),
            (Outcome::Withdrawn { at: at("2026-11-22T12:00:00Z") }, 0),
        ];
        for (outcome, left) in rows {
            let counted = ten_minutes.left(&outcome, at("2026-11-22T12:00:00Z"));
            assert_eq!(counted, Duration::from_secs(left), "{outcome:?}");
        }
    }

    #[test]
    fn a_setting_outside_its_range_is_refused() {
        for good in ["1", "60", "10000"] {
            assert_eq!(HourlyLimit::parse(good).unwrap().get().to_string(), good);
        }
        for bad in ["0", "10001", "-1", "1.5", "", "many", "4294967296"] {
            assert!(HourlyLimit::parse(bad).is_err(), "{bad}");
        }
        assert!(PendingLimit::parse("100").is_ok() && PendingLimit::parse("101").is_err());
        assert!(PendingLimit::parse("0").is_err());
        assert_eq!(CoolDown::parse_seconds("0").unwrap().duration(), Duration::ZERO);
        assert!(CoolDown::parse_seconds("86400").is_ok() && CoolDown::parse_seconds("86401").is_err());
    }
}
