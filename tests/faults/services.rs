//! DynamoDB, SES and KMS refuse, are down, are slow or lose their answers: at every call that a function makes to them.

use std::sync::Arc;

use sayso_tests::Fault;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::document::{Row, Told, row};
use crate::life::{DYNAMODB, KMS, Lasting, Phase, SES, Step, play};

/// So that none of them is slow for want of a processor.
const AT_ONCE: usize = 6;

async fn play_all(row: Row, steps: impl IntoIterator<Item = Step> + Clone, faults: &[Fault]) {
    row.is_what_was(&play_each(steps, faults, Lasting::UntilMended).await);
}

/// What was told in all of these.
async fn play_each(
    steps: impl IntoIterator<Item = Step> + Clone,
    faults: &[Fault],
    lasting: Lasting,
) -> Told {
    let (mut lives, places) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for fault in faults {
        for step in steps.clone() {
            let (fault, places) = (fault.clone(), Arc::clone(&places));
            lives.spawn(async move {
                let _place = places.acquire().await;
                play(step, fault, lasting).await
            });
        }
    }
    let mut told = Told::default();
    lives.join_all().await.into_iter().for_each(|life| told.add(life));
    told
}

fn refuse<const N: usize>(codes: [(u16, &'static str); N]) -> [Fault; N] {
    codes.map(|(status, code)| Fault::Refuse(status, code))
}

/// The client's own second attempt overcomes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_fails_once() {
    let once = Lasting::Unnoticed(1);
    let throttled = Fault::Refuse(400, "ThrottlingException");
    let lost = [Fault::LoseAnswer, Fault::DoAndReset, Fault::KeepAnswer];
    let (reads, writes) = (DYNAMODB.into_iter().filter(|step| !step.writes()), DYNAMODB.into_iter());
    let mut told = play_each(reads, &[throttled.clone(), Fault::Reset, Fault::Silence], once).await;
    told.add(play_each(writes.filter(Step::writes), &[&[throttled], &lost[..]].concat(), once).await);
    row("dynamodb-once").is_what_was(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kms_fails_once() {
    let refused = refuse([(400, "ThrottlingException"), (500, "DependencyTimeoutException")]);
    let lost = [Fault::Reset, Fault::Silence, Fault::LoseAnswer, Fault::KeepAnswer];
    let told = play_each(KMS, &[&refused[..], &lost].concat(), Lasting::Unnoticed(1)).await;
    row("kms-once").is_what_was(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_throttles() {
    let codes = [(400, "ThrottlingException"), (400, "ProvisionedThroughputExceededException")];
    play_all(row("dynamodb-throttled"), DYNAMODB, &refuse(codes)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_is_unavailable() {
    let error = Fault::Refuse(500, "InternalServerError");
    play_all(row("dynamodb-unavailable"), DYNAMODB, &[error, Fault::Reset]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_does_it_and_the_answers_are_lost() {
    let gone = Fault::DoAndRefuse(400, "AccessDeniedException");
    let writes = DYNAMODB.into_iter().filter(Step::writes);
    play_all(row("dynamodb-answers-lost"), writes, &[Fault::LoseAnswer, Fault::DoAndReset, gone]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_denies() {
    play_all(row("dynamodb-denied"), DYNAMODB, &refuse([(400, "AccessDeniedException")])).await;
}

/// Waits for the client's own limit, in real time. A write is the worse for having happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_is_slow() {
    let mut told = Told::default();
    let mut lives = JoinSet::new();
    for step in DYNAMODB {
        let fault = if step.writes() { Fault::KeepAnswer } else { Fault::Silence };
        lives.spawn(play(step, fault, Lasting::UntilMended));
    }
    lives.join_all().await.into_iter().for_each(|life| told.add(life));
    row("dynamodb-slow").is_what_was(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_leaves_rows_out() {
    let reads = DYNAMODB.into_iter().filter(|step| step.1 == "BatchGetItem");
    // One row is read by each call: with the fourth, all are.
    let told = play_each(reads, &[Fault::LeaveOut], Lasting::Unnoticed(3)).await;
    row("dynamodb-reads-partly").is_what_was(&told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_write_all_the_time() {
    let claim = [Step(Phase::Ask, "TransactWriteItems", 0)];
    play_all(row("dynamodb-contended"), claim, &[Fault::Cancel("TransactionConflict")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_throttles() {
    let codes = [(429, "TooManyRequestsException"), (400, "LimitExceededException")];
    play_all(row("ses-throttled"), SES, &refuse(codes)).await;
}

/// SES's code for an address that is not verified while the account is in the sandbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_is_in_its_sandbox() {
    play_all(row("ses-sandbox"), SES, &refuse([(400, "MessageRejected")])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_rejects_the_sender() {
    let codes = [(400, "MailFromDomainNotVerifiedException"), (403, "AccessDeniedException")];
    play_all(row("ses-sender-rejected"), SES, &refuse(codes)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_sends_nothing_for_this_account() {
    let codes = [(400, "AccountSuspendedException"), (400, "SendingPausedException")];
    play_all(row("ses-paused"), SES, &refuse(codes)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_is_unavailable() {
    let [error, unavailable] = refuse([(500, "InternalServiceErrorException"), (503, "ServiceUnavailable")]);
    play_all(row("ses-unavailable"), SES, &[error, unavailable, Fault::Reset, Fault::Silence]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_sends_and_the_answer_is_lost() {
    play_all(row("ses-answer-lost"), SES, &[Fault::LoseAnswer, Fault::DoAndReset, Fault::KeepAnswer]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kms_denies() {
    let codes =
        [(400, "AccessDeniedException"), (400, "DisabledException"), (400, "KMSInvalidStateException")];
    play_all(row("kms-denied"), KMS, &refuse(codes)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kms_is_throttled_or_unavailable() {
    let [throttled, limit, dependency, internal] = refuse([
        (400, "ThrottlingException"),
        (400, "LimitExceededException"),
        (500, "DependencyTimeoutException"),
        (500, "KMSInternalException"),
    ]);
    let lost = [throttled, limit, dependency, internal, Fault::Reset, Fault::LoseAnswer];
    play_all(row("kms-unavailable"), KMS, &lost).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kms_is_slow() {
    play_all(row("kms-slow"), KMS, &[Fault::Silence, Fault::KeepAnswer]).await;
}
