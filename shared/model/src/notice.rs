//! The mail that tells the approver: exactly one sender at a time, and a link that stays good.
//!
//! The caller that writes the request sends the first mail; no record of a mail therefore means that one is being sent, or
//! that its sender died. A later attempt is claimed by a conditional write, carries a fresh secret (only hashes are
//! kept, so the first cannot be sent again) and leaves earlier links working, because a mail whose acceptance was
//! not seen may have been delivered all the same.

use std::time::Duration;

use crate::{
    EmailAddress, Invalid, LinkSecret, LinkSecretHash, Request, Timestamp, Undelivered, UndeliveredCause,
};

/// After this long a sender is taken for dead: longer than the template lets the `mcp` function run (85 s).
pub const SENDING_LIMIT: Duration = Duration::from_secs(90);

/// The most links of retried mails that are kept; the oldest goes first.
const MAX_LINKS: usize = 16;

/// The attempt after which none follows for a mail that came back: an operator corrects an address once or twice.
const MAX_ATTEMPTS: u32 = 10;

/// The mail service's id for a mail: 1 to 256 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MessageId(String);

impl MessageId {
    /// From its text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let fits = (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(Invalid::new("not the id of a mail")) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is recorded of an approval's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Counts the attempts from 1.
    pub attempt: u32,
    /// How the attempt went.
    pub state: NoticeState,
    /// The links of the second and later attempts.
    pub links: Vec<LinkSecretHash>,
}

/// How an attempt to mail went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeState {
    /// Someone is at it.
    Sending {
        /// Since when.
        since: Timestamp,
    },
    /// The mail service took it.
    Accepted {
        /// The mail service's id for it.
        message_id: MessageId,
        /// When. Not known of what an early version recorded.
        at: Option<Timestamp>,
    },
    /// The mail service did not take it, as far as we saw.
    Failed,
}

impl Notice {
    /// The record of the first attempt, made by the caller that wrote the request.
    pub fn first(state: NoticeState) -> Self {
        Self { attempt: 1, state, links: Vec::new() }
    }

    /// The same attempt, ended.
    #[must_use]
    pub fn ended(self, state: NoticeState) -> Self {
        Self { state, ..self }
    }

    /// Whether a mail that `report` is about may be followed by one to `email`. To the address that it came back from
    /// nothing is sent again, and nothing at all when somebody may have got it (a complaint): their link would go on
    /// deciding about what another is asked.
    pub fn may_go_elsewhere(&self, report: &Undelivered, email: &EmailAddress) -> bool {
        report.cause == UndeliveredCause::Bounce
            && !report.address.expose().eq_ignore_ascii_case(email.expose())
            && self.attempt < MAX_ATTEMPTS
    }

    /// The next attempt with `secret`'s link, or `None` when the mail is accepted and has not `come_back`, or someone is
    /// sending it.
    pub fn retry(
        request: &Request,
        notice: Option<&Self>,
        come_back: bool,
        secret: &LinkSecret,
        now: Timestamp,
    ) -> Option<Self> {
        let (attempt, links, sending_since) = match notice {
            None => (1, &[][..], Some(request.created_at)),
            Some(Self { attempt, links, state: NoticeState::Sending { since } }) => {
                (*attempt, &links[..], Some(*since))
            }
            Some(Self { attempt, links, state: NoticeState::Failed }) => (*attempt, &links[..], None),
            Some(Self { attempt, links, state: NoticeState::Accepted { .. } }) if come_back => {
                (*attempt, &links[..], None)
            }
            Some(Self { state: NoticeState::Accepted { .. }, .. }) => return None,
        };
        if sending_since.is_some_and(|since| now < since.plus(SENDING_LIMIT)) {
            return None;
        }
        let kept = &links[links.len().saturating_sub(MAX_LINKS - 1)..];
        let links = kept.iter().copied().chain([secret.hash()]).collect();
        Some(Self { attempt: attempt.saturating_add(1), state: NoticeState::Sending { since: now }, links })
    }
}
