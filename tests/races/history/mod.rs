//! Random histories of one deployment, in the manner of a simulation: a seed gives a sequence of [`Op`]s, each of them
//! done by a real client, with time, retention and failing AWS calls among them. After every step the whole table and
//! everything that was ever told are held against each other.
//!
//! What counts as a failure:
//! - an approval has a second outcome, or its outcome's row ever changes or goes before its retention is over;
//! - an agent or a page is told anything but the recorded outcome, or an outcome that nobody asked for;
//! - `approved` without a token that verifies for exactly the stored request, or a token beside any other status;
//! - `expired` before `closes_at`; a decision or a withdrawal after it;
//! - a request that is decided although the code was wrong;
//! - two open approvals of one agent for one action;
//! - an idempotency key that names two approvals, or two actions, while it is kept;
//! - more mails than attempts to send one; a mail about a kept approval whose link does not open;
//! - a request that an agent was told of and that is not there, before its retention is over;
//! - a failing call that shows itself as anything but an error with an id, or as a page that promises too much.
//!
//! A history that fails prints its seed and its last steps; `SEEDS` holds those that once failed.

mod audit;
mod play;

use sayso_tests::{Dice, World};

use play::Player;

/// Every tenant of the simulation asks for these actions, again and again.
const ACTIONS: usize = 3;
const AGENTS: usize = 2;
const KEYS: usize = 2;

/// One step of a history.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// An agent asks for an action, perhaps under a key, with this much time to answer.
    Ask {
        agent: usize,
        action: usize,
        key: Option<usize>,
        expires_in: u64,
    },
    /// An agent looks at the approval of this number (of all it was told of).
    Check {
        which: usize,
    },
    /// An agent asks about an approval that is another's.
    Pry {
        which: usize,
    },
    Withdraw {
        which: usize,
    },
    Approve {
        which: usize,
    },
    Deny {
        which: usize,
    },
    /// An approver types something else.
    WrongCode {
        which: usize,
    },
    /// An approver, or a scanner, opens the link.
    Open {
        which: usize,
    },
    AdvanceTime {
        seconds: u64,
    },
    /// DynamoDB deletes what is past its time: not all of it, and in any order.
    SweepTtl {
        seed: u64,
    },
    /// The next call of this name fails; `done` says whether it happened all the same.
    BreakNextCall {
        call: &'static str,
        done: bool,
    },
}

const CALLS: [&str; 6] = ["GetItem", "BatchGetItem", "PutItem", "TransactWriteItems", "SendEmail", "Sign"];

/// Seconds to pass: within a mail's limit, across it, across a deadline, across a retention.
const TIMES: [u64; 8] = [1, 5, 60, 91, 600, 3_600, 90_000, 92 * 86_400];

const EXPIRES_IN: [u64; 3] = [60, 3_600, 604_800];

impl Op {
    fn any(dice: &mut Dice) -> Self {
        let which = dice.below(64);
        match dice.below(100) {
            0..25 => Self::Ask {
                agent: dice.below(AGENTS),
                action: dice.below(ACTIONS),
                key: (dice.below(3) == 0).then(|| dice.below(KEYS)),
                expires_in: *dice.pick(&EXPIRES_IN),
            },
            25..37 => Self::Check { which },
            37..39 => Self::Pry { which },
            39..45 => Self::Withdraw { which },
            45..53 => Self::Approve { which },
            53..59 => Self::Deny { which },
            59..63 => Self::WrongCode { which },
            63..67 => Self::Open { which },
            67..81 => {
                // A whole retention passes rarely.
                let times = if dice.below(4) == 0 { &TIMES[..] } else { &TIMES[..7] };
                Self::AdvanceTime { seconds: *dice.pick(times) }
            }
            81..86 => Self::SweepTtl { seed: dice.roll() },
            _ => Self::BreakNextCall { call: CALLS[dice.below(CALLS.len())], done: dice.below(2) == 0 },
        }
    }
}

async fn live_through(seed: u64, steps: usize) {
    let mut dice = Dice::new(seed);
    let mut player = Player::new(World::new().await, seed).await;
    for _ in 0..steps {
        player.step(Op::any(&mut dice)).await;
    }
    player.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_history_breaks_an_invariant() {
    for seed in 0..10 {
        live_through(seed, 60).await;
    }
}

/// Histories that failed once, by seed.
const SEEDS: [u64; 2] = [3, 1006];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_that_failed_once_do_not_fail_again() {
    for seed in SEEDS {
        live_through(seed, 60).await;
    }
}
