//! Events of SES as EventBridge delivers them: `detail` is the record that the SES Developer Guide describes under
//! "Contents of event data". Members that are not named here are passed over: the mail's headers are among them.

use std::collections::HashMap;

use sayso_cloud::APPROVAL_TAG;
use sayso_model::{ApprovalId, EmailAddress, Invalid, MessageId, UndeliveredCause};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// What an event says.
pub(crate) enum Report {
    /// A mail about an approval did not arrive.
    Undelivered {
        /// Which approval.
        id: ApprovalId,
        /// SES's id of the mail.
        message_id: MessageId,
        /// Where it was sent.
        address: EmailAddress,
        /// Why it does not count as delivered.
        cause: UndeliveredCause,
    },
    /// Nothing of that kind, for this reason.
    Nothing(&'static str),
}

/// An event that is none of SES's as documented. Nothing of its text is repeated: addresses stand in it.
#[derive(Debug, Error)]
pub(crate) enum NotUnderstood {
    #[error("it is not an event of SES's at line {0} column {1}")]
    Shape(usize, usize),
    #[error("{0}")]
    Value(#[from] Invalid),
    #[error("it names no recipient")]
    NoRecipient,
}

#[derive(Deserialize)]
struct Event {
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    event_type: String,
    mail: Mail,
    bounce: Option<Bounce>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mail {
    message_id: String,
    destination: Vec<String>,
    #[serde(default)]
    tags: HashMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: String,
    #[serde(default)]
    bounce_sub_type: String,
    #[serde(default)]
    bounced_recipients: Vec<BouncedRecipient>,
}

/// What a mail server said of a recipient, as far as it did.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BouncedRecipient {
    action: Option<String>,
    status: Option<String>,
    diagnostic_code: Option<String>,
}

/// Reads an event.
pub(crate) fn report(event: Value) -> Result<Report, NotUnderstood> {
    let shape = |error: serde_json::Error| NotUnderstood::Shape(error.line(), error.column());
    let Event { detail: Detail { event_type, mail, bounce } } =
        serde_json::from_value(event).map_err(shape)?;
    let cause = match (event_type.as_str(), bounce) {
        ("Bounce", Some(bounce)) if is_auto_reply(&bounce) => {
            return Ok(Report::Nothing("an automatic reply"));
        }
        ("Bounce", _) => UndeliveredCause::Bounce,
        ("Complaint", _) => UndeliveredCause::Complaint,
        ("Reject", _) => UndeliveredCause::Reject,
        _ => return Ok(Report::Nothing("another type of event")),
    };
    let Some(id) = mail.tags.get(APPROVAL_TAG).and_then(|values| values.first()) else {
        return Ok(Report::Nothing("a mail about no approval"));
    };
    // The address as the mail was given it: what a mail server reports back may be spelled otherwise.
    let address = mail.destination.first().ok_or(NotUnderstood::NoRecipient)?;
    let (id, address) = (ApprovalId::parse(id)?, EmailAddress::parse(address)?);
    Ok(Report::Undelivered { id, message_id: MessageId::parse(&mail.message_id)?, address, cause })
}

/// SES reports an out-of-office reply as a transient bounce of the general kind, although the mail has arrived; and so it does
/// when it gives a mail up after hours of trying. Only the second comes with a delivery status (RFC 3464). Every other
/// transient bounce (a full mailbox, a refused content) is SES's last word on a mail as well.
fn is_auto_reply(bounce: &Bounce) -> bool {
    let has_status = |recipient: &BouncedRecipient| {
        recipient.action.is_some() || recipient.status.is_some() || recipient.diagnostic_code.is_some()
    };
    bounce.bounce_type == "Transient"
        && bounce.bounce_sub_type == "General"
        && !bounce.bounced_recipients.iter().any(has_status)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "01JD3V8Q5Z7XW2N4M6K8P0R1ST";

    /// As the SES Developer Guide shows it, with `what` beside the mail.
    fn event(event_type: &str, what: Value) -> Value {
        let mut detail = json!({
            "eventType": event_type,
            "mail": {
                "timestamp": "2026-11-22T12:00:00.012Z",
                "source": "Sayso <sayso@example.com>",
                "messageId": "0100-m",
                "destination": ["alex@example.com"],
                "headersTruncated": false,
                "headers": [{"name": "To", "value": "alex@example.com"}],
                "tags": {"approval_id": [ID], "ses:configuration-set": ["sayso"]},
            },
        });
        detail.as_object_mut().unwrap().extend(what.as_object().unwrap().clone());
        json!({"version": "0", "source": "aws.ses", "detail-type": "Email Bounced", "detail": detail})
    }

    fn bounce(kind: &str, sub: &str) -> Value {
        let recipients = json!([{"emailAddress": "Alex@Example.com", "status": "5.1.1"}]);
        let at = "2026-11-22T12:00:03.500Z";
        let bounce = json!({"bounceType": kind, "bounceSubType": sub, "bouncedRecipients": recipients, "timestamp": at});
        event("Bounce", json!({"bounce": bounce}))
    }

    fn cause(event: Value) -> Option<&'static str> {
        match report(event).unwrap() {
            Report::Undelivered { id, message_id, address, cause } => {
                assert_eq!((id.to_string().as_str(), message_id.as_str()), (ID, "0100-m"));
                assert_eq!(address.expose(), "alex@example.com");
                Some(cause.as_str())
            }
            Report::Nothing(_) => None,
        }
    }

    #[test]
    fn what_ses_reports_and_what_it_means() {
        for (kind, sub) in [
            ("Permanent", "General"),
            ("Permanent", "NoEmail"),
            ("Permanent", "Suppressed"),
            ("Permanent", "OnAccountSuppressionList"),
            ("Undetermined", "Undetermined"),
            ("Transient", "MailboxFull"),
            ("Transient", "ContentRejected"),
        ] {
            assert_eq!(cause(bounce(kind, sub)), Some("bounce"), "{kind} {sub}");
        }
        assert_eq!(cause(bounce("Transient", "General")), Some("bounce"), "given up after hours");
        let mut reply = bounce("Transient", "General");
        reply["detail"]["bounce"]["bouncedRecipients"] = json!([{"emailAddress": "alex@example.com"}]);
        assert_eq!(cause(reply), None, "an out-of-office reply");
        let complaint = json!({"complaint": {"timestamp": "2026-11-22T12:00:05.000Z"}});
        assert_eq!(cause(event("Complaint", complaint)), Some("complaint"));
        let rejected = json!({"reject": {"reason": "Bad content"}});
        assert_eq!(cause(event("Reject", rejected)), Some("reject"));
        assert_eq!(cause(event("Delivery", json!({"delivery": {}}))), None);
        let mut strangers = bounce("Permanent", "General");
        strangers["detail"]["mail"]["tags"] = json!({});
        assert_eq!(cause(strangers), None);
    }

    #[test]
    fn what_is_not_understood_is_named_without_its_text() {
        let broken = |change: &dyn Fn(&mut Value)| {
            let mut event = bounce("Permanent", "General");
            change(&mut event["detail"]);
            match report(event) {
                Err(problem) => problem.to_string(),
                Ok(_) => panic!("it was understood"),
            }
        };
        let changes: [&dyn Fn(&mut Value); 5] = [
            &|detail| detail["mail"]["destination"] = json!("alex@example.com"),
            &|detail| detail["mail"]["destination"] = json!([]),
            &|detail| detail["mail"]["destination"] = json!(["Alex <alex@example.com>"]),
            &|detail| detail["mail"]["tags"]["approval_id"] = json!(["alex@example.com"]),
            &|detail| *detail = json!("alex@example.com"),
        ];
        for change in changes {
            let problem = broken(change);
            assert!(!problem.contains("alex"), "{problem}");
        }
    }
}
