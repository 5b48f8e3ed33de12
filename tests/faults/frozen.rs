//! A process that is stopped between two of its calls, while others go on, and goes on itself when it is all over.

use std::sync::Arc;
use std::time::Duration;

use sayso_model::SENDING_LIMIT;
use sayso_tests::{Fault, Function, Protocol, Raw, Reply, Tap};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::deployment::{Deployment, digest, read_page, redeem};
use crate::document::{Told, row};
use crate::elsewhere::{Another, ask, asking, check, form, later, next, text, told_gate, tool};

/// Makes a call, freezes the function while its call of this name is under way, and thaws it when `meanwhile` is done and
/// the service has answered.
async fn frozen<T>(
    function: &Function,
    tap: &Tap,
    under_way: &str,
    call: sayso_tests::Call,
    meanwhile: impl Future<Output = T>,
) -> (Reply, T) {
    let until = Arc::new(Semaphore::new(0));
    tap.take_calls();
    tap.break_next(under_way, Fault::Hold(Arc::clone(&until)));
    tokio::join!(function.call(call), async {
        tap.called(under_way).await;
        function.freeze().await;
        let done = meanwhile.await;
        until.add_permits(1);
        function.thaw().await;
        done
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mcp_that_thaws_sends_the_mail_it_was_about_to_send_and_no_other() {
    let deployment = Deployment::start().await;
    // For the rest of the world its sender is dead by now, and the agent has asked again.
    let elsewhere = later(&deployment.backends, SENDING_LIMIT + Duration::from_secs(1)).await;
    let raw = Raw::new(&elsewhere.mcp_url, deployment.agent_key.expose());
    let call = tool(&deployment, "request_approval", asking("vol-1"));
    let (thawed, taken_over) = frozen(&deployment.mcp, &deployment.taps[0], "SendEmail", call, async {
        raw.tool(Protocol::New, "request_approval", &asking("vol-1").to_string()).await
    })
    .await;
    let first: serde_json::Value = crate::deployment::structured(&thawed.json());
    assert_eq!(first["approval_id"], taken_over.structured["approval_id"], "one approval");
    let mails = deployment.backends.outbox.mails().expect("the outbox");
    assert_eq!(mails.len(), 2, "one by each sender");
    for _ in 0..3 {
        let again = deployment.tool("request_approval", asking("vol-1")).await;
        assert_eq!(again["mail_sent"], true, "{again}");
    }
    assert_eq!(deployment.backends.outbox.mails().expect("the outbox").len(), 2, "and no more");
    // The link of the one that took over; by its path, which is the same at any deployment of the table.
    let text = mails[0].text.as_deref().unwrap_or_default();
    let mut paths = text.lines().filter_map(|line| line.strip_prefix(&elsewhere.page_url));
    let other = sayso_tests::Call::new("GET", paths.next().expect("the link"));
    assert_eq!(deployment.page.call(other).await.status, 200);
    // The thawed one's is as good.
    let page = read_page(&deployment).await;
    let decided = deployment.decide.call(form(&page, "approve")).await;
    assert_eq!(decided.status, 200, "{}", decided.body);
    let id = first["approval_id"].as_str().expect("an id");
    let mut told = Told::default();
    told.agent.extend([next(&thawed), taken_over.field("next").to_owned()]);
    told.next.insert(check(&deployment, id).await["next"].as_str().expect("a sentence").to_owned());
    row("mcp-frozen").is_what_was(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decide_that_thaws_finds_what_was_decided_without_it() {
    let deployment = Deployment::start().await;
    let another = Another::start("Decide", &deployment.backends).await;
    let mut told = Told::default();
    for (under_way, volume) in [("Sign", "vol-1"), ("PutItem", "vol-2"), ("BatchGetItem", "vol-3")] {
        let id = ask(&deployment, volume).await;
        let page = read_page(&deployment).await;
        let (thawed, denied) =
            frozen(&deployment.decide, &deployment.taps[2], under_way, form(&page, "approve"), async {
                another.function.call(form(&page, "deny")).await
            })
            .await;
        assert_eq!((denied.status, thawed.status), (200, 409), "{under_way}: {}", thawed.body);
        told.approver.insert(text(thawed));
        let stands = check(&deployment, &id).await;
        assert_eq!(stands["status"], "denied", "{under_way}");
        told.next.insert(stands["next"].as_str().expect("a sentence").to_owned());
    }
    row("decide-frozen").is_what_was(&told);
}

/// All its own time limits are over when it goes on. What passes the time is the other's: a signature that never comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decide_that_thaws_after_its_own_limits_decides_nothing_a_second_time() {
    let deployment = Deployment::start().await;
    let another = Another::start("Decide", &deployment.backends).await;
    for (volume, under_way) in [("vol-1", "Sign"), ("vol-2", "PutItem")] {
        let id = ask(&deployment, volume).await;
        let page = read_page(&deployment).await;
        another.tap.break_all("Sign", Fault::Silence);
        let (thawed, ()) =
            frozen(&deployment.decide, &deployment.taps[2], under_way, form(&page, "approve"), async {
                let slow = another.function.call(form(&page, "approve")).await;
                assert_eq!(slow.status, 500, "{}", slow.body);
                assert_eq!(another.function.call(form(&page, "deny")).await.status, 200);
            })
            .await;
        // It has read its answer, or given up.
        assert!([409, 500].contains(&thawed.status), "{under_way}: {}", thawed.body);
        assert_eq!(check(&deployment, &id).await["status"], "denied", "{under_way}");
        let again = deployment.decide.call(form(&page, "approve")).await;
        assert_eq!(again.status, 409, "{under_way}: {}", again.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decide_that_thaws_after_the_deadline_finds_it_expired() {
    let deployment = Deployment::start().await;
    let elsewhere = later(&deployment.backends, Duration::from_secs(2 * 3_600)).await;
    let raw = Raw::new(&elsewhere.mcp_url, deployment.agent_key.expose());
    let id = ask(&deployment, "vol-1").await;
    let page = read_page(&deployment).await;
    let checking = json!({"approval_id": id, "wait_seconds": 0}).to_string();
    let (thawed, expired) =
        frozen(&deployment.decide, &deployment.taps[2], "PutItem", form(&page, "approve"), async {
            raw.tool(Protocol::New, "check_approval", &checking).await
        })
        .await;
    assert_eq!((thawed.status, expired.field("status")), (409, "expired"), "{}", thawed.body);
    assert_eq!(check(&deployment, &id).await["status"], "expired");
    let mut told = Told::default();
    told.approver.insert(text(thawed));
    told.agent.insert(expired.field("next").to_owned());
    told.next.insert(check(&deployment, &id).await["next"].as_str().expect("a sentence").to_owned());
    row("decide-frozen-past-the-deadline").is_what_was(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redeem_that_thaws_gives_no_second_receipt() {
    let deployment = Deployment::start().await;
    let another = Another::start("Redeem", &deployment.backends).await;
    let mut told = Told::default();
    // By another gate, or by the same attempt of the same one.
    for (volume, nonce) in [("vol-1", "another-attempt-1"), ("vol-2", "0123456789abcdef")] {
        let id = ask(&deployment, volume).await;
        let page = read_page(&deployment).await;
        deployment.decide.call(form(&page, "approve")).await;
        let approved = check(&deployment, &id).await;
        let token = approved["approval_token"].as_str().expect("a token");
        let post = |nonce: &str| {
            let body = json!({
                "token": token, "digest": digest(volume), "audience": "production", "gate": "g", "nonce": nonce,
            });
            sayso_tests::Call::new("POST", "/redeem").body("application/json", &body.to_string())
        };
        let (thawed, receipt) =
            frozen(&deployment.redeem, &deployment.taps[3], "PutItem", post("0123456789abcdef"), async {
                another.function.call(post(nonce)).await
            })
            .await;
        assert_eq!(receipt.status, 200, "{}", receipt.body);
        if nonce == "0123456789abcdef" {
            assert_eq!((thawed.status, thawed.json()), (200, receipt.json()), "one attempt, one receipt");
        } else {
            assert_eq!(thawed.status, 409, "{}", thawed.body);
            told.gate.insert(told_gate(&thawed));
        }
        told.next.insert(told_gate(&redeem(&deployment, token, &digest(volume), "yet-another-one-1").await));
    }
    row("redeem-frozen").is_what_was(&told);
}
