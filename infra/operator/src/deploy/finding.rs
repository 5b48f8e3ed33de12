//! The findings of `deploy check`: what was checked, the result, and what to do about it.

use sayso_cloud::Failure;
use serde_json::json;

use crate::outcome::{Report, status};
use crate::terminal::{count, one_line};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckStatus {
    Well,
    /// It works, not as well as it should.
    Attention,
    /// It does not work, or that is not known.
    Failed,
}

impl CheckStatus {
    fn mark(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Attention => "attention",
            Self::Failed => "FAILED",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            other => other.mark(),
        }
    }
}

struct Finding {
    check: &'static str,
    standing: CheckStatus,
    found: String,
    advice: Option<String>,
}

/// All findings, in the order of the checks.
#[derive(Default)]
pub(crate) struct Findings(Vec<Finding>);

impl Findings {
    pub(crate) fn well(&mut self, check: &'static str, found: impl Into<String>) {
        self.add(check, CheckStatus::Well, found.into(), None);
    }

    pub(crate) fn attention(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, CheckStatus::Attention, found.into(), Some(advice.into()));
    }

    pub(crate) fn failed(
        &mut self,
        check: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(check, CheckStatus::Failed, found.into(), Some(advice.into()));
    }

    /// Adds a call that failed: nothing is known. `place` is where a console shows the same.
    pub(crate) fn unread(&mut self, check: &'static str, failure: &Failure, place: &str) {
        let Failure::Call { call, code } = failure else {
            return self.failed(check, failure.to_string(), "find out who can write to the table");
        };
        let (found, advice) = match code.as_str() {
            "AccessDeniedException" | "AccessDenied" => (
                format!("these credentials are not allowed to call {call}"),
                format!("permit {call} (docs/operating.md has the policy), or look at {place}"),
            ),
            "ExpiredToken"
            | "ExpiredTokenException"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"
            | "SignatureDoesNotMatch"
            | "InvalidSignatureException" => (
                failure.to_string(),
                "log in again, or choose other credentials with --profile; a region that is not enabled in the account refuses all of them".to_owned(),
            ),
            "ResourceNotFoundException" => {
                (failure.to_string(), "compare --table and --region with the stack's output TableName".to_owned())
            }
            "no connection" => (
                format!("{call}: no connection to the service"),
                "check --region (not every region has every service) and the network; behind a proxy, HTTPS_PROXY and AWS_CA_BUNDLE".to_owned(),
            ),
            "timed out" | "ThrottlingException" | "TooManyRequestsException" => {
                (failure.to_string(), "run it again".to_owned())
            }
            _ => (failure.to_string(), format!("look at {place}")),
        };
        self.failed(check, found, advice);
    }

    fn add(&mut self, check: &'static str, standing: CheckStatus, found: String, advice: Option<String>) {
        self.0.push(Finding { check, standing, found: one_line(&found), advice });
    }

    fn number(&self, standing: CheckStatus) -> usize {
        self.0.iter().filter(|finding| finding.standing == standing).count()
    }

    pub(crate) fn into_report(self, region: &str) -> Report {
        let (failed, attention) = (self.number(CheckStatus::Failed), self.number(CheckStatus::Attention));
        let width = self.0.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
        let line = |finding: &Finding| {
            let Finding { check, standing, found, advice } = finding;
            let advice = advice.as_ref().map(|advice| format!("           what to do: {advice}\n"));
            format!("{:9}  {check:width$}  {found}\n{}", standing.mark(), advice.unwrap_or_default())
        };
        let lines: String = self.0.iter().map(line).collect();
        let wanting = match attention {
            0 => String::new(),
            some => format!(" {} for attention.", count(some, "point")),
        };
        let end = match failed {
            0 => format!("Nothing stands in the way.{wanting}"),
            some => format!("{} in the way.{wanting}", count(some, "point")),
        };
        let checks: Vec<_> = self
            .0
            .iter()
            .map(|Finding { check, standing, found, advice }| {
                json!({"check": check, "standing": standing.name(), "found": found, "advice": advice})
            })
            .collect();
        Report {
            text: format!("{lines}\n{end}\n"),
            json: json!({"ready": failed == 0, "region": region, "checks": checks}),
            status: if failed == 0 { status::DONE } else { status::NOT_DONE },
        }
    }
}
