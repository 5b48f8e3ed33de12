//! SES's settings for an account and its identities. Read-only.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::types::{BehaviorOnMxFailure, DkimStatus, IdentityType, MailFromDomainStatus};
use sayso_model::EmailAddress;

use crate::Failure;

/// An account's sending status in one region.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// Whether SES sends for it at all.
    pub enabled: bool,
    /// `HEALTHY`, `PROBATION` or `SHUTDOWN`.
    pub enforcement: Option<String>,
    /// Whether it is out of the sandbox, in which every recipient must be verified.
    pub production: bool,
    /// The state of the request to leave the sandbox: `PENDING`, `GRANTED`, `DENIED` or `FAILED`.
    pub review: Option<String>,
    /// How many mails it may send.
    pub quota: Option<SendingQuota>,
}

/// Numbers of mails, rounded down. A negative number a day means no limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SendingQuota {
    /// The most in 24 hours.
    pub a_day: f64,
    /// The most in a second.
    pub a_second: f64,
    /// How many were sent in the last 24 hours.
    pub sent: f64,
}

/// An address or a domain, as SES knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The address or domain itself.
    pub name: String,
    /// Whether it is a domain.
    pub is_domain: bool,
    /// Whether SES has verified it.
    pub verified: bool,
    /// `PENDING`, `SUCCESS`, `FAILED`, `TEMPORARY_FAILURE` or `NOT_STARTED`.
    pub verification: String,
    /// The state of its DKIM signatures.
    pub dkim: Dkim,
    /// Its own MAIL FROM domain, if it has one.
    pub mail_from: Option<MailFrom>,
}

/// Whether an identity's mails get a DKIM signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dkim {
    /// Whether SES signs, and a receiver finds the key.
    pub signs: bool,
    /// `PENDING`, `SUCCESS`, `FAILED`, `TEMPORARY_FAILURE` or `NOT_STARTED`.
    pub status: String,
}

/// An identity's custom MAIL FROM domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailFrom {
    /// The domain's name.
    pub domain: String,
    /// Whether SES has found its records.
    pub found: bool,
    /// Whether SES sends nothing while it does not find them.
    pub or_nothing: bool,
}

/// Reads SES's settings.
#[derive(Clone)]
pub struct SendingReader(Client);

impl SendingReader {
    /// A reader that uses this client.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// Reads the account's sending status.
    pub async fn account(&self) -> Result<Sending, Failure> {
        let answer = self.0.get_account().send().await.map_err(|e| Failure::call("ses:GetAccount", &e))?;
        let review = answer.details.and_then(|details| details.review_details);
        Ok(Sending {
            enabled: answer.sending_enabled,
            enforcement: answer.enforcement_status,
            production: answer.production_access_enabled,
            review: review.and_then(|review| review.status).map(|status| status.as_str().to_owned()),
            quota: answer.send_quota.map(|quota| SendingQuota {
                a_day: quota.max24_hour_send,
                a_second: quota.max_send_rate,
                sent: quota.sent_last24_hours,
            }),
        })
    }

    /// The identity for an address: the address, its domain, or a parent domain, which SES accepts as well. Returns the first
    /// that is verified, or else the first that exists.
    pub async fn identity_of(&self, address: &EmailAddress) -> Result<Option<Identity>, Failure> {
        let mut first = None;
        for name in names(address.expose()) {
            match self.identity(name).await? {
                Some(identity) if identity.verified => return Ok(Some(identity)),
                found => first = first.or(found),
            }
        }
        Ok(first)
    }

    async fn identity(&self, name: &str) -> Result<Option<Identity>, Failure> {
        let answer = match self.0.get_email_identity().email_identity(name).send().await {
            Ok(answer) => answer,
            Err(e) if e.as_service_error().is_some_and(|e| e.is_not_found_exception()) => return Ok(None),
            Err(e) => return Err(Failure::call("ses:GetEmailIdentity", &e)),
        };
        let dkim = answer.dkim_attributes;
        let status = dkim.as_ref().and_then(|dkim| dkim.status.clone());
        let mail_from = answer.mail_from_attributes.filter(|own| !own.mail_from_domain.is_empty());
        Ok(Some(Identity {
            name: name.to_owned(),
            is_domain: answer.identity_type == Some(IdentityType::Domain),
            verified: answer.verified_for_sending_status,
            verification: answer
                .verification_status
                .map_or_else(unknown, |status| status.as_str().to_owned()),
            dkim: Dkim {
                signs: dkim.is_some_and(|dkim| dkim.signing_enabled) && status == Some(DkimStatus::Success),
                status: status.map_or_else(unknown, |status| status.as_str().to_owned()),
            },
            mail_from: mail_from.map(|own| MailFrom {
                found: own.mail_from_domain_status == MailFromDomainStatus::Success,
                or_nothing: own.behavior_on_mx_failure == BehaviorOnMxFailure::RejectMessage,
                domain: own.mail_from_domain,
            }),
        }))
    }
}

/// An address, its domain and the parent domains. A top-level domain is nobody's identity.
fn names(address: &str) -> Vec<&str> {
    let mut names = vec![address];
    let mut rest = address.rsplit_once('@').map(|(_, domain)| domain);
    while let Some(domain) = rest {
        names.push(domain);
        rest = domain.split_once('.').map(|(_, above)| above).filter(|above| above.contains('.'));
    }
    names
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_address_its_domain_and_those_above_but_no_top_level_domain() {
        assert_eq!(names("a@b.example.com"), ["a@b.example.com", "b.example.com", "example.com"]);
        assert_eq!(names("a@example.com"), ["a@example.com", "example.com"]);
        assert_eq!(names("a@localhost"), ["a@localhost", "localhost"]);
    }
}
