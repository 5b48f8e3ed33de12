//! A second execution environment that starts while the first is in the middle of a race.

use std::sync::Arc;

use sayso_tests::Fault;
use tokio::sync::Semaphore;

use crate::deployment::{Deployment, read_page, structured};
use crate::document::{Told, row};
use crate::elsewhere::{Another, ask, asking, check, form, next, text, tool};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_mcp_completes_what_the_first_is_in_the_middle_of() {
    let deployment = Deployment::start().await;
    let mut told = Told::default();
    for (number, under_way) in ["TransactWriteItems", "PutItem", "SendEmail"].into_iter().enumerate() {
        let volume = format!("vol-{number}");
        let call = tool(&deployment, "request_approval", asking(&volume));
        let (until, tap) = (Arc::new(Semaphore::new(0)), &deployment.taps[0]);
        tap.take_calls();
        tap.break_next(under_way, Fault::Hold(Arc::clone(&until)));
        let (first, cold) = tokio::join!(deployment.mcp.call(call.clone()), async {
            tap.called(under_way).await;
            let another = Another::start("Mcp", &deployment.backends).await;
            let answer = another.function.call(call.clone()).await;
            until.add_permits(1);
            answer
        });
        let ids = [&first, &cold].map(|reply| structured(&reply.json())["approval_id"].clone());
        assert_eq!(ids[0], ids[1], "{under_way}: one approval");
        let mails = deployment.backends.outbox.mails().expect("the outbox");
        assert_eq!(mails.len(), number + 1, "{under_way}: one mail");
        told.agent.extend([next(&first), next(&cold)]);
        let id = ids[0].as_str().expect("an id");
        told.next.insert(check(&deployment, id).await["next"].as_str().expect("a sentence").to_owned());
    }
    row("mcp-cold-start").is_what_was(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cold_decide_and_the_first_make_one_decision() {
    let deployment = Deployment::start().await;
    let mut told = Told::default();
    for (volume, under_way) in [("vol-1", "BatchGetItem"), ("vol-2", "Sign"), ("vol-3", "PutItem")] {
        let id = ask(&deployment, volume).await;
        let page = read_page(&deployment).await;
        let (until, tap) = (Arc::new(Semaphore::new(0)), &deployment.taps[2]);
        tap.take_calls();
        tap.break_next(under_way, Fault::Hold(Arc::clone(&until)));
        let (first, cold) = tokio::join!(deployment.decide.call(form(&page, "approve")), async {
            tap.called(under_way).await;
            let another = Another::start("Decide", &deployment.backends).await;
            let reply = another.function.call(form(&page, "deny")).await;
            assert!(another.tap.take_calls().contains(&"GetPublicKey".to_owned()), "a cold start");
            until.add_permits(1);
            reply
        });
        assert_eq!((first.status, cold.status), (409, 200), "{under_way}: {}", first.body);
        told.approver.insert(text(first));
        let stands = check(&deployment, &id).await;
        assert_eq!(stands["status"], "denied", "{under_way}");
        told.next.insert(stands["next"].as_str().expect("a sentence").to_owned());
    }
    row("decide-cold-start").is_what_was(&told);
}
