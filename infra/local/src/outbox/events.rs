//! What SES tells EventBridge about a mail some time after it took it, for the addresses of SES's mailbox simulator ("Using the
//! mailbox simulator manually" in the SES Developer Guide), or for any mail that a test says came back.

use serde_json::{Value, json};

use super::Mail;

const SIMULATOR: &str = "@simulator.amazonses.com";

/// What became of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The recipient's server does not know the mailbox.
    Bounce,
    /// SES has sent nothing, because an earlier mail to the address bounced.
    Suppressed,
    /// SES has tried for hours, and no server took it.
    GivenUp,
    /// It arrived, and an automatic reply came back.
    OutOfOffice,
    /// The recipient reported it as spam.
    Complaint,
    /// SES took it for malware after it had accepted it.
    Reject,
}

impl Mail {
    /// What the mailbox simulator does with it, where it is addressed to that.
    pub fn simulated_fate(&self) -> Option<Fate> {
        let local = self.to.first()?.strip_suffix(SIMULATOR)?;
        // A label may follow, so that one's own tests can be told apart.
        match local.split('+').next()? {
            "bounce" => Some(Fate::Bounce),
            "suppressionlist" => Some(Fate::Suppressed),
            "ooto" => Some(Fate::OutOfOffice),
            "complaint" => Some(Fate::Complaint),
            _ => None,
        }
    }

    /// The event that EventBridge delivers, `seconds` after the mail was accepted.
    pub fn event(&self, fate: Fate, seconds: i64) -> Value {
        let at = rfc3339(self.sent_at.saturating_add(seconds));
        let address = self.to.first().map(String::as_str).unwrap_or_default();
        let (kind, event_type, name, what) = match fate {
            Fate::Bounce => {
                ("Email Bounced", "Bounce", "bounce", bounce("Permanent", "General", address, &at))
            }
            Fate::Suppressed => (
                "Email Bounced",
                "Bounce",
                "bounce",
                bounce("Permanent", "OnAccountSuppressionList", address, &at),
            ),
            // As SES reports it: without a delivery status.
            Fate::OutOfOffice => {
                let mut reply = bounce("Transient", "General", address, &at);
                reply["bouncedRecipients"] = json!([{"emailAddress": address}]);
                ("Email Bounced", "Bounce", "bounce", reply)
            }
            Fate::GivenUp => {
                ("Email Bounced", "Bounce", "bounce", bounce("Transient", "General", address, &at))
            }
            Fate::Complaint => {
                ("Email Complaint Received", "Complaint", "complaint", complaint(address, &at))
            }
            Fate::Reject => ("Email Rejected", "Reject", "reject", json!({"reason": "Bad content"})),
        };
        let mut tags = json!({"ses:configuration-set": ["local"]});
        for (name, value) in &self.tags {
            tags[name] = json!([value]);
        }
        let mut detail = json!({
            "eventType": event_type,
            "mail": {
                "timestamp": rfc3339(self.sent_at), "source": self.from, "messageId": self.message_id,
                "destination": self.to, "headersTruncated": false, "tags": tags,
                "headers": [{"name": "To", "value": address}, {"name": "Subject", "value": self.subject}],
            },
        });
        detail[name] = what;
        json!({
            "version": "0", "id": self.message_id, "source": "aws.ses", "detail-type": kind, "time": at,
            "account": "000000000000", "region": "us-east-1", "resources": [], "detail": detail,
        })
    }
}

fn bounce(kind: &str, sub: &str, address: &str, at: &str) -> Value {
    let code = "smtp; 550 5.1.1 user unknown";
    let recipient =
        json!({"emailAddress": address, "action": "failed", "status": "5.1.1", "diagnosticCode": code});
    json!({"bounceType": kind, "bounceSubType": sub, "bouncedRecipients": [recipient], "timestamp": at})
}

fn complaint(address: &str, at: &str) -> Value {
    let recipients = json!([{"emailAddress": address}]);
    json!({"complainedRecipients": recipients, "complaintFeedbackType": "abuse", "timestamp": at})
}

/// With milliseconds, as SES has it.
fn rfc3339(seconds: i64) -> String {
    let moment = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    moment.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}
