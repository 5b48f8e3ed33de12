//! Whether mails will go out, from a sender that mail providers trust, to the approvers.

use std::collections::BTreeSet;

use sayso_cloud::operator::{Identity, Registry, Sending, SendingQuota, SendingReader};
use sayso_cloud::{Aws, Clock, Failure};
use sayso_model::EmailAddress;

use super::finding::Findings;
use super::region;

const ACCOUNT: &str = "the SES console, Account dashboard";
const IDENTITIES: &str = "the SES console, Identities";

pub(super) async fn look(
    aws: &Aws,
    sender: &EmailAddress,
    named: &[EmailAddress],
    registry: Option<&Registry>,
    findings: &mut Findings,
) {
    let ses = SendingReader::new(aws.sesv2_reads());
    let production = match ses.account().await {
        Ok(sending) => {
            may_send(&sending, findings);
            quota(sending.quota, findings);
            sandbox(&sending, findings);
            Some(sending.production)
        }
        Err(failure) => {
            findings.unread("sending", &failure, ACCOUNT);
            None
        }
    };
    match ses.identity_of(sender).await {
        Err(failure) => findings.unread("sender", &failure, IDENTITIES),
        Ok(None) => findings.failed("sender", unknown(sender), create(sender, region(aws))),
        Ok(Some(identity)) => as_sender(&identity, findings),
    }
    if production != Some(true) {
        approvers(&ses, named, registry, production, findings).await;
    }
}

/// Only for an account that is in the sandbox, or may be.
async fn approvers(
    ses: &SendingReader,
    named: &[EmailAddress],
    registry: Option<&Registry>,
    production: Option<bool>,
    findings: &mut Findings,
) {
    const CHECK: &str = "approvers";
    let mut all = named.to_vec();
    let registered = match registry {
        Some(registry) => registered(registry).await,
        None => Ok(Vec::new()),
    };
    match registered {
        Err(failure) => findings.unread(CHECK, &failure, "`sayso approver list`"),
        Ok(registered) if registered.is_empty() && all.is_empty() => {
            let advice = "name approvers with --approver, or a deployment that has some with --table";
            findings.attention(CHECK, "there are none, and in the sandbox each must be verified", advice);
        }
        Ok(registered) => all.extend(registered),
    }
    once(&mut all);
    for approver in &all {
        as_approver(approver, ses.identity_of(approver).await, production, findings);
    }
}

fn may_send(sending: &Sending, findings: &mut Findings) {
    let enforcement = sending.enforcement.as_deref().unwrap_or("unknown");
    if !sending.enabled || enforcement == "SHUTDOWN" {
        let advice = format!(
            "SES has said why: {ACCOUNT}, and the account's mails. Until that is fixed, no approver gets mail"
        );
        findings.failed("sending", format!("SES sends nothing for this account ({enforcement})"), advice);
    } else if enforcement == "HEALTHY" {
        findings.well("sending", "SES sends for this account, and finds nothing wrong with it");
    } else {
        let advice =
            format!("fix what SES complains about, or it will stop sending: {ACCOUNT}, Reputation metrics");
        findings.attention("sending", format!("SES has this account under review ({enforcement})"), advice);
    }
}

fn quota(quota: Option<SendingQuota>, findings: &mut Findings) {
    const CHECK: &str = "quota";
    let Some(SendingQuota { a_day, a_second, sent }) = quota else {
        return findings.attention(
            CHECK,
            "SES does not say how much may be sent",
            format!("look at {ACCOUNT}"),
        );
    };
    if a_day < 0.0 {
        return findings.well(CHECK, format!("any number of mails a day, {a_second} a second"));
    }
    let found = format!("{sent} of {a_day} mails sent in 24 hours; {a_second} a second");
    let advice = "ask for more: Service Quotas, Amazon SES, Sending quota. Every new request is a mail";
    if sent >= a_day {
        findings.failed(CHECK, found, advice);
    } else if sent >= 0.8 * a_day {
        findings.attention(CHECK, found, advice);
    } else {
        findings.well(CHECK, found);
    }
}

fn sandbox(sending: &Sending, findings: &mut Findings) {
    const CHECK: &str = "sandbox";
    if sending.production {
        return findings.well(CHECK, "out of it: any approver can be mailed");
    }
    let asked = match sending.review.as_deref() {
        Some("PENDING") => "; AWS is reviewing the request to leave it",
        Some("DENIED" | "FAILED") => "; the request to leave it was not granted",
        _ => "",
    };
    let advice = format!(
        "verify every approver, or ask to leave it: {ACCOUNT}, Request production access. A person at AWS reviews it"
    );
    findings.attention(CHECK, format!("in it: only verified addresses are mailed{asked}"), advice);
}

fn as_sender(identity: &Identity, findings: &mut Findings) {
    let name = shown(identity);
    if !identity.verified {
        let found = format!("{name} is not verified ({})", identity.verification);
        return findings.failed("sender", found, verify(identity));
    }
    findings.well("sender", format!("{name} is verified"));
    if identity.dkim.signs {
        findings.well("dkim", format!("mails are signed for {name}"));
    } else if identity.is_domain {
        let advice = format!(
            "publish the CNAME records that {IDENTITIES}, {name}, Authentication shows: unsigned mails look like spam"
        );
        findings.attention(
            "dkim",
            format!("mails are not signed for {name} ({})", identity.dkim.status),
            advice,
        );
    } else {
        let advice = "verify the sender's domain instead, with DKIM. An address is enough for a trial, but unsigned mails look like spam";
        findings.attention(
            "dkim",
            "only the address is verified, so its mails are not signed for its domain",
            advice,
        );
    }
    if identity.is_domain {
        mail_from(identity, findings);
    }
}

/// DMARC (RFC 7489) passes when either DKIM or SPF is aligned with the sender's domain; SPF is, with a custom MAIL FROM.
/// The policy itself is in DNS, which is not read here.
fn mail_from(identity: &Identity, findings: &mut Findings) {
    const CHECK: &str = "mail from";
    let Some(own) = &identity.mail_from else {
        return match identity.dkim.signs {
            true => findings.well(CHECK, "amazonses.com, so DMARC depends on DKIM"),
            false => findings.attention(
                CHECK,
                "amazonses.com, and no DKIM: DMARC fails",
                "set up DKIM first, then add a DMARC record at _dmarc of the sender's domain",
            ),
        };
    };
    let advice = format!("publish the MX and TXT records that {IDENTITIES}, Authentication shows for it");
    match (own.found, own.or_nothing) {
        (true, _) => findings.well(CHECK, format!("{}, so DMARC has SPF, too", own.domain)),
        (false, false) => {
            findings.attention(CHECK, format!("SES does not find the records of {}", own.domain), advice)
        }
        (false, true) => {
            let found =
                format!("SES does not find the records of {}, and sends nothing until it does", own.domain);
            findings.failed(CHECK, found, advice);
        }
    }
}

fn as_approver(
    approver: &EmailAddress,
    identity: Result<Option<Identity>, Failure>,
    production: Option<bool>,
    findings: &mut Findings,
) {
    const CHECK: &str = "approver";
    let who = approver.masked();
    let (found, advice) = match identity {
        Err(failure) => return findings.unread(CHECK, &failure, IDENTITIES),
        Ok(Some(identity)) if identity.verified => {
            return findings.well(CHECK, format!("{who} is verified, as {}", shown(&identity)));
        }
        Ok(Some(identity)) => {
            (format!("{who} is not verified ({})", identity.verification), verify(&identity))
        }
        Ok(None) => (
            unknown(approver),
            "`aws sesv2 create-email-identity --email-identity ADDRESS`, and let them click the link in the mail that they get"
                .to_owned(),
        ),
    };
    match production {
        None => findings.attention(CHECK, format!("{found}; it is not known whether that matters"), advice),
        Some(_) => findings.failed(CHECK, found, advice),
    }
}

fn unknown(address: &EmailAddress) -> String {
    format!("neither {} nor its domain is an SES identity in this region", address.masked())
}

fn create(address: &EmailAddress, region: &str) -> String {
    let domain = address.expose().rsplit_once('@').map_or("", |(_, domain)| domain);
    format!(
        "`aws sesv2 create-email-identity --email-identity {domain} --region {region}`, and publish the records it answers with; or, to try it, deploy with CreateIdentities=sender"
    )
}

fn verify(identity: &Identity) -> String {
    if identity.is_domain {
        format!(
            "publish the CNAME records that {IDENTITIES}, {}, Authentication shows; SES looks for 72 hours",
            identity.name
        )
    } else {
        format!("click the link that SES has mailed to it; {IDENTITIES} sends another")
    }
}

/// The identity's name. An address is masked, a domain is not personal.
fn shown(identity: &Identity) -> String {
    match EmailAddress::parse(&identity.name) {
        Ok(address) => address.masked(),
        Err(_) => identity.name.clone(),
    }
}

/// The addresses of the registered approvers, and of the approvers in the rows of working keys.
async fn registered(registry: &Registry) -> Result<Vec<EmailAddress>, Failure> {
    let now = Clock::system().now();
    let approvers = registry.approvers().await?.into_iter().map(|known| known.approver.email);
    let keys = registry.keys().await?.into_iter().filter(|key| key.is_valid(now));
    Ok(approvers.chain(keys.map(|key| key.agent.approver.email)).collect())
}

/// Removes duplicates, and keeps the order.
fn once(addresses: &mut Vec<EmailAddress>) {
    let mut seen = BTreeSet::new();
    addresses.retain(|address| seen.insert(address.expose().to_owned()));
}
