//! The contents of an audit export: every fact of a range of time, and every corrupt row.

use sayso_model::audit::{CorruptRow, Fact, Range, SETTLING};
use sayso_model::token::Jwks;
use sayso_model::{ApprovalId, Outcome, Receipt, Request, Timestamp};

use crate::Failure;
use crate::store::{
    ApprovalRows, Item, Kind, NoticeItem, OUTCOME_STAYS, RequestItem, Store, attested, from_item, receipt,
    reports, scan,
};

/// The facts of a range of time, and the corrupt rows.
pub struct Audited {
    /// Sorted by [`Fact::order`].
    pub facts: Vec<Fact>,
    /// All of them, sorted by key. The range does not apply: the time in a corrupt row cannot be trusted.
    pub corrupt: Vec<CorruptRow>,
}

impl Store {
    /// Reads the whole table. Keeps all approvals in memory until they are judged.
    pub async fn audited(&self, range: Range, now: Timestamp) -> Result<Audited, Failure> {
        let rows = scan(&self.client, &self.table, &Kind::OF_AN_APPROVAL).await?;
        let (approvals, misplaced) = ApprovalRows::gather(rows);
        let corrupt = misplaced.iter().map(|(key, problem)| CorruptRow::new(key, "pk", problem)).collect();
        let mut audited = Audited { facts: Vec::new(), corrupt };
        for (id, rows) in approvals {
            self.judge(id, rows, range, now, &mut audited);
        }
        audited.facts.sort_by_key(Fact::order);
        audited.corrupt.sort();
        Ok(audited)
    }

    fn judge(&self, id: ApprovalId, rows: ApprovalRows, range: Range, now: Timestamp, audited: &mut Audited) {
        let ApprovalRows { request, notice, undelivered, outcome, redemption } = rows;
        // The redemption's row is kept the longest, and needs no other row.
        let redemption = redemption.filter(|item| !is_forgotten(item, 0, now));
        let used = redemption.map(|item| receipt(id, item)).transpose().unwrap_or_else(|failure| {
            audited.corrupt.push(corrupt(failure));
            None
        });
        // The reports of undelivered mail need no other row either.
        match reports(undelivered.filter(|item| !is_forgotten(item, 0, now)), id) {
            Ok(reports) => {
                let facts = Fact::undelivered(id, reports).into_iter();
                audited.facts.extend(facts.filter_map(|fact| in_range(fact, range)));
            }
            Err(failure) => audited.corrupt.push(corrupt(failure)),
        }
        match request.map(|request| asked(id, request, now)).transpose() {
            Ok(Some(Some(request))) => {
                return self.judge_asked(&request, notice, outcome, used, range, audited);
            }
            Ok(Some(None)) => {}
            Ok(None) => without_request(id, [notice, outcome], now, audited),
            Err(failure) => {
                audited.corrupt.push(corrupt(failure));
                without_request(id, [notice, outcome], now, audited);
            }
        }
        audited.facts.extend(used.and_then(|receipt| in_range(Fact::Redemption(receipt), range)));
    }

    fn judge_asked(
        &self,
        request: &Request,
        notice: Option<Item>,
        outcome: Option<Item>,
        used: Option<Receipt>,
        range: Range,
        audited: &mut Audited,
    ) {
        let read = |item| from_item::<NoticeItem>(item, &Kind::Notice.key(request.id))?.parse();
        let notice = notice.map(read).transpose().unwrap_or_else(|failure| {
            audited.corrupt.push(corrupt(failure));
            None
        });
        let outcome = outcome.map(|item| ended(request, item, &self.keys)).transpose();
        // A later redemption may have come while the table was being read.
        if let Some(receipt) = used.filter(|receipt| receipt.redeemed_at < range.to()) {
            if fits(&receipt, request, &outcome) {
                audited.facts.extend(in_range(Fact::Redemption(receipt), range));
            } else {
                let problem = "it is not of what was asked and approved";
                audited.corrupt.push(CorruptRow::new(&Kind::Redemption.key(request.id), "digest", problem));
            }
        }
        let facts = match outcome {
            Ok(outcome) => Fact::of(request, notice, outcome, range.to()),
            // The outcome is unknown: the row is corrupt, and it must not be taken for expired.
            Err(failure) => {
                audited.corrupt.push(corrupt(failure));
                let (id, at) = (request.id, request.closes_at);
                let mail = notice.map(|notice| Fact::Mail { id, at, notice });
                [Fact::Request(request.clone())].into_iter().chain(mail).collect()
            }
        };
        audited.facts.extend(facts.into_iter().filter_map(|fact| in_range(fact, range)));
    }
}

fn in_range(fact: Fact, range: Range) -> Option<Fact> {
    Some(fact).filter(|fact| range.contains(fact.at()))
}

/// Reports the rows of an approval without a readable request as corrupt. Two cases are in order: the request's row has
/// expired before the others, or all of them were written while the table was being read.
fn without_request(
    id: ApprovalId,
    [notice, outcome]: [Option<Item>; 2],
    now: Timestamp,
    audited: &mut Audited,
) {
    if id.made_at() >= now.minus(SETTLING) {
        return;
    }
    let left = [(notice, Kind::Notice.key(id), 0), (outcome, Kind::Outcome.key(id), OUTCOME_STAYS)];
    for (item, key, stays) in left {
        if item.is_some_and(|item| !is_forgotten(&item, stays, now)) {
            audited.corrupt.push(CorruptRow::new(
                &key,
                "pk",
                "what was asked cannot be read, so nothing attests it",
            ));
        }
    }
}

/// The request, unless its row has expired.
fn asked(id: ApprovalId, item: Item, now: Timestamp) -> Result<Option<Request>, Failure> {
    let item = from_item::<RequestItem>(item, &Kind::Request.key(id))?;
    if item.is_forgotten(now) {
        return Ok(None);
    }
    let request = item.parse(id)?;
    // The id and `created_at` are made from the same time.
    if request.created_at != id.made_at() || request.closes_at <= request.created_at {
        let problem = "it is not when the approval's id was made, or not before the deadline";
        return Err(Failure::corrupt(&Kind::Request.key(id), "created_at", problem));
    }
    Ok(Some(request))
}

/// The outcome. An outcome from before the request is corrupt.
fn ended(request: &Request, item: Item, keys: &Jwks) -> Result<Outcome, Failure> {
    let outcome = attested(request, item, keys)?;
    if outcome.at() < request.created_at {
        let problem = "it is before anything was asked";
        return Err(Failure::corrupt(&Kind::Outcome.key(request.id), "at", problem));
    }
    Ok(outcome)
}

/// Whether a redemption fits the request and, if the outcome can be read, the approval.
fn fits(receipt: &Receipt, request: &Request, outcome: &Result<Option<Outcome>, Failure>) -> bool {
    let as_decided = match outcome {
        Ok(Some(Outcome::Approved { decision, .. })) => receipt.proven_by == decision.proven_by,
        Ok(_) => false,
        Err(_) => true,
    };
    let Request { action, created_at, .. } = request;
    as_decided
        && receipt.tool == action.tool
        && receipt.digest == action.digest()
        && receipt.redeemed_at >= *created_at
}

/// Whether a row's `ttl` is over, less the `stays` seconds by which the row outlives its request. A row without a `ttl` never
/// expires.
fn is_forgotten(item: &Item, stays: i64, now: Timestamp) -> bool {
    let ttl = item.get("ttl").and_then(|ttl| ttl.as_n().ok()).and_then(|ttl| ttl.parse::<i64>().ok());
    ttl.is_some_and(|ttl| ttl.saturating_sub(stays) <= now.as_unix_seconds())
}

fn corrupt(failure: Failure) -> CorruptRow {
    match failure {
        Failure::Corrupt { row, attribute, problem } => CorruptRow::new(&row, attribute, &problem),
        // Judging makes no calls.
        Failure::Call { call, code } => CorruptRow::new("", call, &code),
    }
}
