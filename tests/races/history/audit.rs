use std::collections::{BTreeMap, BTreeSet};

use sayso_cloud::Store;
use sayso_model::{Approval, ApprovalId};
use sayso_tests::{Row, World, number, string};

use super::play::Player;
use crate::together::{id_of, mailed_links};

/// What the table said at every look, to be held against what it says later.
#[derive(Default)]
pub(super) struct Audit {
    outcomes: BTreeMap<String, Row>,
    /// Until when each request must be kept.
    kept_until: BTreeMap<String, i64>,
    store: Option<Store>,
}

fn rows<'a>(rows: &'a [Row], prefix: &str) -> Vec<&'a Row> {
    rows.iter().filter(|row| string(row, "pk").starts_with(prefix)).collect()
}

impl Audit {
    /// Whether this approval's retention is over.
    pub(super) fn is_over(&self, id: &str, world: &World) -> bool {
        self.kept_until.get(id).is_some_and(|until| *until < world.clock.now().as_unix_seconds())
    }

    /// The whole table against everything known.
    pub(super) async fn check(&mut self, player: &Player, table: &[Row], place: &str) {
        let world = &player.world;
        let now = world.clock.now().as_unix_seconds();
        let outcomes = rows(table, "OUTCOME#");
        for outcome in &outcomes {
            // One that was looked at before is the same row still, or the next line stops.
            if !self.outcomes.contains_key(id_of(&string(outcome, "pk"))) {
                self.outcome_is_what_it_says(player, outcome, place).await;
            }
            Self::was_tried_and_told(player, outcome, place);
        }
        self.outcomes_never_change(world, &outcomes, place);
        let over: BTreeSet<String> =
            outcomes.iter().map(|row| id_of(&string(row, "pk")).to_owned()).collect();
        let mut open = BTreeSet::new();
        for request in rows(table, "REQUEST#") {
            let id = id_of(&string(request, "pk")).to_owned();
            if now < number(request, "closes_at") && !over.contains(&id) {
                let action =
                    (string(request, "agent"), string(request, "tool"), string(request, "arguments"));
                assert!(open.insert(action.clone()), "two open approvals of {action:?}: {place}");
            }
            self.kept_until.insert(id, Player::keeps_until(request));
        }
        assert!(world.mails().len() <= player.attempts_to_mail, "more mails than attempts: {place}");
    }

    fn outcomes_never_change(&mut self, world: &World, outcomes: &[&Row], place: &str) {
        let now: BTreeMap<String, Row> =
            outcomes.iter().map(|row| (id_of(&string(row, "pk")).to_owned(), (*row).clone())).collect();
        for (id, before) in &self.outcomes {
            match now.get(id) {
                Some(row) => assert_eq!(row, before, "an outcome changed: {place}"),
                None => assert!(self.is_over(id, world), "the outcome of {id} is lost: {place}"),
            }
        }
        self.outcomes = now;
    }

    async fn outcome_is_what_it_says(&mut self, player: &Player, outcome: &Row, place: &str) {
        let world = &player.world;
        let id = id_of(&string(outcome, "pk")).to_owned();
        let (what, at) = (string(outcome, "outcome"), number(outcome, "at"));
        let request = world.table().row(&format!("REQUEST#{id}")).await;
        let request = request.unwrap_or_else(|| panic!("an outcome of no request: {place}"));
        let closes_at = number(&request, "closes_at");
        match what.as_str() {
            "expired" => {
                assert!(at == closes_at && closes_at <= world.clock.now().as_unix_seconds(), "{place}")
            }
            "approved" | "denied" | "withdrawn" => assert!(at < closes_at, "{what} too late: {place}"),
            other => panic!("{other}: {place}"),
        }
        // The store lets an approval pass only if its token verifies for this very request.
        let store = self.store(world).await;
        let read = store.approval(ApprovalId::parse(&id).expect("an id"), world.clock.now()).await;
        let read = read.unwrap_or_else(|e| panic!("{e}: {place}"));
        if number(&request, "ttl") <= world.clock.now().as_unix_seconds() {
            assert!(read.is_none(), "{id} is past its time: {place}");
            return;
        }
        let closed = read.map(|stored| stored.judge(world.clock.now()));
        let Some(Ok(Approval::Closed(closed))) = closed else {
            panic!("an outcome that closes nothing: {place}")
        };
        assert_eq!(closed.outcome.status().as_str(), what, "{place}");
    }

    /// It is what everybody was told, and what somebody wanted.
    fn was_tried_and_told(player: &Player, outcome: &Row, place: &str) {
        let (id, what) = (id_of(&string(outcome, "pk")).to_owned(), string(outcome, "outcome"));
        if let Some(known) = player.known.iter().find(|known| known.id == id) {
            assert!(
                known.told.as_ref().is_none_or(|told| *told == what),
                "told {:?}, is {what}: {place}",
                known.told
            );
            assert!(
                what == "expired" || known.tried.iter().any(|tried| *tried == what),
                "{what}: nobody tried: {place}"
            );
        }
    }

    async fn store(&mut self, world: &World) -> &Store {
        if self.store.is_none() {
            self.store = Some(world.store().await);
        }
        self.store.as_ref().expect("just made")
    }

    /// Every link that was ever mailed about an approval that is still kept.
    pub(super) async fn check_links(&self, player: &Player, place: &str) {
        let mut kept = player.world.table().keys("REQUEST#").await;
        kept.retain(|key| !self.is_over(id_of(key), &player.world));
        for key in kept {
            for link in mailed_links(&player.world, id_of(&key)) {
                assert_eq!(player.world.browser().open(&link).await.status, 200, "a dead link: {place}");
            }
        }
    }
}
