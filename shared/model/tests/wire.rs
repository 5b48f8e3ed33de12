//! What a deployment writes, a gate reads as it was meant; and what either may add later.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use sayso_model::token::ApprovalToken;
use sayso_model::wire::{
    CheckApprovalResult, CheckedStatus, RequestApprovalResult, WireError, WithdrawApprovalResult,
};
use sayso_model::{ApprovalId, Note, Status, Summary, Timestamp, UndeliveredCause};
use serde_json::{Value, json};

fn id() -> ApprovalId {
    "01JD3V8Q5Z7XW2N4M6K8P0R1ST".parse().unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_unix_seconds(1_764_000_000).unwrap()
}

fn statuses() -> Vec<CheckedStatus> {
    let (closes_at, proven_by) = (now(), "email-link".to_owned());
    let undeliverable = UndeliveredCause::ALL.map(|cause| CheckedStatus::Undeliverable {
        closes_at,
        mail_sent: false,
        cause,
    });
    let pending = CheckedStatus::Pending {
        closes_at,
        mail_sent: true,
        open_for: "1 s".to_owned(),
        closes_in: "59 s".to_owned(),
        retry_after_seconds: 30,
    };
    let approved = CheckedStatus::Approved {
        decided_at: now(),
        proven_by: proven_by.clone(),
        note: Note::parse("Go.").unwrap(),
        approval_token: ApprovalToken::from_text("a.b.c"),
        token_expires_at: now(),
    };
    let denied = CheckedStatus::Denied { decided_at: now(), proven_by, note: None };
    let closed = [pending, approved, denied, CheckedStatus::Expired, CheckedStatus::Withdrawn];
    closed.into_iter().chain(undeliverable).collect()
}

fn written(answer: &impl serde::Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

#[test]
fn every_status_is_read_as_it_was_written() {
    let all = statuses();
    for status in Status::ALL {
        assert!(all.iter().any(|checked| checked.status() == status), "{status} is not in this test");
        assert_eq!(status.as_str().parse(), Ok(status));
    }
    for status in all {
        let word = status.status();
        let answer = CheckApprovalResult { approval_id: id(), status, next: "Wait.".to_owned() };
        let content = written(&answer);
        assert_eq!(content["status"], word.as_str());
        assert_eq!(CheckApprovalResult::from_content(content), Ok(answer));
    }
}

#[test]
fn a_token_is_in_the_answer_and_not_in_what_is_printed() {
    let approved = statuses().swap_remove(1);
    assert_eq!(written(&approved)["approval_token"], "a.b.c");
    assert!(!format!("{approved:?}").contains("a.b.c"));
}

#[test]
fn members_of_a_later_version_are_passed_over_and_its_values_are_named() {
    let requested = written(&RequestApprovalResult {
        approval_id: id(),
        status: Status::Pending,
        status_url: "https://page.example".to_owned(),
        closes_at: now(),
        approver: "a•••@example.com".to_owned(),
        mail_sent: Some(true),
        summary: Summary::parse("Drop it").ok(),
        reason: None,
        created_at: Some(now()),
        next: String::new(),
    });
    let withdrawn = written(&WithdrawApprovalResult { approval_id: id(), status: Status::Withdrawn });
    let pending = written(&CheckApprovalResult {
        approval_id: id(),
        status: statuses().swap_remove(0),
        next: String::new(),
    });
    let read = |content: &Value| {
        [
            RequestApprovalResult::from_content(content.clone()).map(|_| ()),
            CheckApprovalResult::from_content(content.clone()).map(|_| ()),
            WithdrawApprovalResult::from_content(content.clone()).map(|_| ()),
        ]
    };
    for (at, right) in [&requested, &pending, &withdrawn].into_iter().enumerate() {
        let with = |member: &str, value: Value| {
            let mut content = right.clone();
            content[member] = value;
            read(&content)[at].clone()
        };
        assert_eq!(with("a_later_member", json!({"of": "any kind"})), Ok(()));
        let unknown = WireError::Unknown { member: "status", value: "needs-2nd_vote".to_owned() };
        assert_eq!(with("status", json!("needs-2nd_vote")), Err(unknown));
        for unfit in
            [json!(""), json!("two words"), json!("<b>"), json!("x".repeat(65)), json!(1), json!(null)]
        {
            assert_eq!(with("status", unfit.clone()), Err(WireError::Malformed), "{unfit}");
        }
        assert_eq!(read(&json!([right]))[at], Err(WireError::Malformed));
    }
}
