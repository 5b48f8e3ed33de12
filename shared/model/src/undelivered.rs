//! What comes back: minutes or hours after the mail service took a mail, it may report that the mail did not arrive.

use std::fmt;

use crate::text::text_traits;
use crate::{EmailAddress, Invalid, MessageId, Timestamp};

/// The mail service's report about one mail. It ends nothing: a link that did arrive may still decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The mail service's id of the mail, as in [`NoticeState::Accepted`](crate::NoticeState::Accepted).
    pub message_id: MessageId,
    /// Where it was sent.
    pub address: EmailAddress,
    /// Why it does not count as delivered.
    pub cause: UndeliveredCause,
    /// When it was written down, by the writer's clock: a report may come hours after what it is about.
    pub at: Timestamp,
}

/// Why a mail does not count as delivered: the SES events of these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndeliveredCause {
    /// The recipient's mail server does not take it.
    Bounce,
    /// The recipient reported it as spam: it arrived, and the mail service sends them nothing more.
    Complaint,
    /// The mail service did not send it after all: it took it for malware.
    Reject,
}

impl UndeliveredCause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Bounce, Self::Complaint, Self::Reject];

    /// The name in records and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
            Self::Reject => "reject",
        }
    }

    /// From its name.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|cause| cause.as_str() == text)
            .ok_or_else(|| Invalid::new("a cause is `bounce`, `complaint` or `reject`"))
    }
}

impl fmt::Display for UndeliveredCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_traits!(UndeliveredCause);
