//! The claim on an agent's one open request for an action. This is the subtlest algorithm here: many calls for the same action
//! may run at once, each may die at any await, and the result must be one request and one mail.
//!
//! A claim is one conditional transaction on the pointer `OPEN#`, the key `IDEMPOTENCY#` and the counters `LIMIT#`
//! ([`Store::claim`](sayso_cloud::Store::claim)). When it is lost, the row that was there says whose request to go on with. A
//! request that is over or forgotten is replaced by naming it in the next claim: a compare-and-swap, so that of two who
//! see the same closed request one replaces it. The caller writes the request only after the claim, and a caller that dies in
//! between leaves a pointer to nothing: the next one writes the request under the id that the pointer names.

use std::time::Duration;

use sayso_cloud::{Claim, PointerClaim, RequestRef, Settled, StoredApproval, random};
use sayso_model::{Agent, ApprovalId, Outcome, Request};

use super::Draft;
use crate::Deps;
use crate::answer::ToolError;
use crate::tools::limited;

/// How often a claim is tried while others write. Somebody wins each round, and twenty calls at once need a few rounds.
const MAX_CLAIMS: u32 = 10;

/// After this long no other claim is begun, however many were made: what a claim leads to takes eight calls to AWS in a row
/// at worst, and has to end before the function's own time.
const CLAIMING_LIMIT: Duration = Duration::from_secs(10);

/// The result of a claim.
pub(super) enum Claimed {
    /// The draft is the agent's open request for this action, and must be written.
    Won,
    /// The action or the idempotency key belongs to this request already.
    Taken(RequestRef, Found),
}

/// The state of the request that a row names.
pub(super) enum Found {
    /// It is there, and someone may still decide.
    Open(Box<StoredApproval>),
    /// It is there, and its outcome is recorded.
    Over(Outcome),
    /// Its writer is between two writes, or died there.
    NotYet,
    /// It is past its `ttl`, and DynamoDB has deleted it before the row that names it.
    Forgotten,
}

pub(super) async fn claim(deps: &Deps, agent: &Agent, draft: &Draft) -> Result<Claimed, ToolError> {
    let (mut replaces, mut replaces_key) = (None, None);
    let started = deps.clock.elapsed();
    for round in 0..MAX_CLAIMS {
        if deps.clock.elapsed().saturating_sub(started) > CLAIMING_LIMIT {
            break;
        }
        let claim = PointerClaim {
            request: &draft.request,
            idempotency_key: draft.key.as_ref(),
            replaces,
            replaces_key,
        };
        match deps.store.claim(&claim, &deps.settings.limits, deps.settings.retention).await? {
            Claim::Won => return Ok(Claimed::Won),
            Claim::KeyedForAnotherAction => return Err(key_is_taken()),
            Claim::Limited(reached) => limited::make_room(deps, agent, reached).await?,
            Claim::Keyed(named) => match find(deps, named).await? {
                Found::Forgotten => replaces_key = Some(named.id),
                found => return Ok(Claimed::Taken(named, found)),
            },
            Claim::Held(named) => match find(deps, named).await? {
                Found::Over(outcome) => {
                    limited::cool_down(deps, named.id, &outcome)?;
                    replaces = Some(named.id);
                }
                Found::Forgotten => replaces = Some(named.id),
                found => match share_key(deps, draft, named, replaces_key).await? {
                    Shared::Yes => return Ok(Claimed::Taken(named, found)),
                    // The next round meets the key's own request.
                    Shared::No => replaces = None,
                },
            },
            Claim::Contended => {
                replaces = None;
                deps.clock.sleep(pause(round)).await;
            }
        }
    }
    Err(limited::busy())
}

/// A growing pause, different for each of those who wait: 10 to 20 ms, then twice that, up to a second.
fn pause(round: u32) -> Duration {
    let longest = (20_u64 << round).min(1_000);
    let [jitter] = random::bytes();
    Duration::from_millis(longest / 2 + longest * u64::from(jitter) / 512)
}

async fn find(deps: &Deps, named: RequestRef) -> Result<Found, ToolError> {
    let now = deps.clock.now();
    let Some(stored) = deps.store.approval(named.id, now).await? else {
        return Ok(if now < named.closes_at { Found::NotYet } else { Found::Forgotten });
    };
    Ok(match deps.store.settle(&stored, now, deps.settings.retention).await? {
        Settled::Open(_) => Found::Open(Box::new(stored)),
        Settled::Closed(closed) => Found::Over(closed.outcome),
    })
}

fn key_is_taken() -> ToolError {
    ToolError::Refused(
        "This `idempotency_key` was used for another action. Use a new key for a new action, or repeat the first one exactly."
            .to_owned(),
    )
}

enum Shared {
    Yes,
    No,
}

/// Binds the idempotency key, if there is one, to the request that is open already.
async fn share_key(
    deps: &Deps,
    draft: &Draft,
    named: RequestRef,
    replaces_key: Option<ApprovalId>,
) -> Result<Shared, ToolError> {
    let Some(key) = &draft.key else { return Ok(Shared::Yes) };
    let there = Request { id: named.id, closes_at: named.closes_at, ..draft.request.clone() };
    let claim = PointerClaim { request: &there, idempotency_key: None, replaces: None, replaces_key };
    match deps.store.claim_key(&claim, key, deps.settings.retention).await? {
        Claim::Won => Ok(Shared::Yes),
        Claim::KeyedForAnotherAction => Err(key_is_taken()),
        // A key alone is not measured against a limit.
        Claim::Keyed(_) | Claim::Held(_) | Claim::Contended | Claim::Limited(_) => Ok(Shared::No),
    }
}
