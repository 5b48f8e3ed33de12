//! Finds whatever was done to exports since they were written.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::json;

use super::fact::Kind;
use super::head::Head;
use super::lines::{Entry, HeadLine, Line, Placed};
use super::tokens::Tokens;
use super::{Header, LineDigest};
use crate::token::{Issuer, Jwk, Jwks, KeyId};
use crate::{ApprovalId, Timestamp};

/// What is wrong is told this often, at most, for one file.
const MAX_FINDINGS: usize = 20;

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// At which line, from 1; zero is the file as a whole.
    pub line: u64,
    /// What it is.
    pub problem: String,
}

/// What there is to say of one export, once its last line is read.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// What does not hold. Of an export with findings nothing else here is to be believed.
    pub findings: Vec<Finding>,
    /// What it is of.
    pub header: Option<Header>,
    /// How many entries of each kind.
    pub entries: BTreeMap<Kind, u64>,
    /// Which key signed it.
    pub key: Option<KeyId>,
    /// When it was signed, by the signer's clock.
    pub exported_at: Option<Timestamp>,
    /// Of its last line: what the next export names.
    pub head: Option<LineDigest>,
}

/// Reads exports, one after the other, in the order of their ranges.
pub struct Verifier {
    trusted: Vec<KeyId>,
    issuer: Option<Issuer>,
    tokens: Tokens,
    before: Option<Verified>,
    now: Reading,
}

#[derive(Default)]
struct Reading {
    verified: Verified,
    lines: u64,
    /// What the next line should say.
    seq: u64,
    last: Option<LineDigest>,
    facts: Option<(Timestamp, ApprovalId, Kind)>,
    corrupt: Option<String>,
}

impl Reading {
    fn find(&mut self, problem: impl Into<String>) {
        self.find_at(self.lines, problem);
    }

    fn find_at(&mut self, line: u64, problem: impl Into<String>) {
        if self.verified.findings.len() < MAX_FINDINGS {
            self.verified.findings.push(Finding { line, problem: problem.into() });
        }
    }

    fn check(&mut self, result: Result<(), &'static str>) {
        if let Err(problem) = result {
            self.find(problem);
        }
    }

    fn entries(&self) -> u64 {
        self.verified.entries.values().sum()
    }

    /// Where the line stands, and after which.
    fn check_place(&mut self, seq: u64, previous: Option<LineDigest>, is_header: bool) {
        if self.verified.head.is_some() {
            self.find("it stands behind the head");
        }
        match (self.lines, is_header) {
            (1, false) => self.find("the first line is not a header"),
            (2.., true) => self.find("a header stands in the middle of the export"),
            _ if !is_header && previous != self.last => self.find(
                "it does not follow the line before: that one was changed, or lines were removed, added or reordered",
            ),
            _ if seq != self.seq => self.find(format!("its seq is {seq} and should be {}", self.seq)),
            _ => {}
        }
        self.seq = seq.saturating_add(1);
    }

    fn check_order(&mut self, entry: &Entry) {
        if let (Some(at), Some(id), true) = (entry.at, entry.id, entry.kind != Kind::Corrupt) {
            let place = (at, id, entry.kind);
            if self.corrupt.is_some() || self.facts.is_some_and(|before| before >= place) {
                self.find("it is not in the order of an export");
            }
            self.facts = Some(place);
            if self.verified.header.as_ref().is_some_and(|header| !header.range.contains(at)) {
                self.find("its time is outside of the export's range");
            }
        } else {
            let row = entry.fact.get("row").and_then(serde_json::Value::as_str).unwrap_or_default();
            if self.corrupt.as_deref().is_some_and(|before| before > row) {
                self.find("it is not in the order of an export");
            }
            self.corrupt = Some(row.to_owned());
        }
    }

    /// The signature, and whether it is over this very file.
    fn check_head(&mut self, head: &HeadLine, trusted: &[KeyId]) {
        let jwk = Jwk::deserialize(&head.jwk).ok();
        let key = jwk.and_then(|jwk| jwk.to_public_key().ok()).filter(|key| json!(key.to_jwk()) == head.jwk);
        let Some(key) = key else { return self.find("the key in the head is not one, or has other members") };
        let id = key.id();
        if !trusted.contains(&id) {
            self.find(format!("the head is signed by the key {id}, which is none of those you trust"));
        }
        let signed = match Head::verify(&head.jws, &Jwks::of(&key)) {
            Ok(signed) => signed,
            Err(problem) => return self.find(problem),
        };
        self.verified.key = Some(id);
        self.verified.exported_at = Some(signed.exported_at);
        if signed.entries != self.entries() {
            let (signed, there) = (signed.entries, self.entries());
            self.find(format!("the head was signed for {signed} entries, and there are {there}"));
        }
        if self.last.is_none_or(|last| last != signed.last) {
            self.find("the head was signed for another last line");
        }
        let same = |header: &Header| {
            header.table == signed.table && header.issuer == signed.issuer && header.range == signed.range
        };
        if !self.verified.header.as_ref().is_some_and(same) {
            self.find("the head was signed for an export of another deployment or range");
        }
    }
}

impl Verifier {
    /// `trusted` are the keys whose signature counts. The key stands in the export itself; that it is the right one has to be
    /// known from elsewhere. `tokens` are the keys that approval tokens must verify under; without them no token's signature is looked at.
    /// `issuer` is the one that the exports must be of.
    pub fn new(trusted: Vec<KeyId>, issuer: Option<Issuer>, tokens: Option<Jwks>) -> Self {
        Self { trusted, issuer, tokens: Tokens::new(tokens), before: None, now: Reading::default() }
    }

    /// The next line, without its line feed.
    pub fn line(&mut self, line: &[u8]) {
        self.now.lines += 1;
        match Placed::read(line) {
            Ok(placed) => self.placed(placed, line),
            Err(problem) => {
                self.now.find(problem);
                self.now.seq += 1;
            }
        }
        self.now.last = Some(LineDigest::of(line));
    }

    fn placed(&mut self, Placed { seq, previous, line: read }: Placed, line: &[u8]) {
        self.now.check_place(seq, previous, matches!(read, Line::Header(_)));
        match read {
            Line::Header(header) => {
                self.check_header(&header);
                self.now.verified.header.get_or_insert(header);
            }
            Line::Entry(entry) => {
                *self.now.verified.entries.entry(entry.kind).or_default() += 1;
                self.now.check_order(&entry);
                let checked = self.tokens.check(&entry, self.now.verified.header.as_ref());
                self.now.check(checked);
            }
            Line::Head(head) => {
                self.now.check_head(&head, &self.trusted);
                self.now.verified.head = Some(LineDigest::of(line));
            }
        }
    }

    fn check_header(&mut self, header: &Header) {
        if self.issuer.as_ref().is_some_and(|issuer| *issuer != header.issuer) {
            self.now.find(format!("it is an export of the issuer {}", header.issuer));
        }
        if self.before.is_none() && self.now.verified.header.is_none() {
            self.tokens.begin(header.range.from());
        }
        let Some(Verified { header: Some(before), head, .. }) = &self.before else { return };
        if header.previous.is_none() || header.previous != *head {
            self.now
                .find("it does not follow the export before it: there is one missing, or it was exchanged");
        } else if (&before.table, &before.issuer, Some(before.range.to()))
            != (&header.table, &header.issuer, header.range.from())
        {
            self.now.find("its range or deployment does not continue that of the export before it");
        }
    }

    /// The file is read. `cut` says that its last line has no end.
    pub fn end_of_file(&mut self, cut: bool) -> Verified {
        let mut read = std::mem::take(&mut self.now);
        if read.lines == 0 {
            read.find("it is empty");
        } else if read.verified.head.is_none() {
            read.find_at(0, "it ends without a head: it was cut off, or its last line removed");
        } else if cut {
            read.find("its last line has no end: it was cut off");
        }
        if let Some(header) = &read.verified.header {
            for id in self.tokens.overdue(header.range.to()) {
                read.find_at(
                    0,
                    format!("the approval {id} was told, and its token is missing: nothing attests it"),
                );
            }
        }
        self.before = Some(read.verified.clone());
        read.verified
    }

    /// Of all files so far: how many approvals they tell of, and how many tokens were found to attest one.
    pub fn approved_and_attested(&self) -> (u64, u64) {
        (self.tokens.approvals, self.tokens.attested)
    }

    /// Of all files so far: how many requests do not show all their arguments, so that nothing ties those shown to the digest.
    pub fn masked(&self) -> u64 {
        self.tokens.masked
    }
}
