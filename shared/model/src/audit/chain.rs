use serde_json::{Value, json};

use super::fact::{CorruptRow, Fact, Kind};
use super::head::Head;
use super::{FORMAT, Header, LineDigest, canonical};
use crate::token::{Jwk, PublicKey, Signature, UnsignedJws};
use crate::{ApprovalId, GateMasks, Timestamp};

/// An export as it is written: each line carries the digest of the one before. Facts go in by [`Fact::order`], and rows
/// that cannot be believed after them.
#[derive(Debug)]
pub struct Chain {
    header: Header,
    /// Of the next line.
    seq: u64,
    last: LineDigest,
    masks: GateMasks,
}

impl Chain {
    /// Begins an export, and gives its first line, without a line feed as all here. `masks` is what its lines do not show.
    pub fn begin(header: Header, masks: GateMasks) -> (Self, String) {
        let line = canonical(&json!({
            "seq": 0,
            "kind": "header",
            "format": FORMAT,
            "table": header.table,
            "issuer": header.issuer.as_str(),
            "from": header.range.from().map(|from| from.to_string()),
            "to": header.range.to().to_string(),
            "previous": header.previous.map(|digest| digest.to_string()),
        }));
        (Self { header, seq: 1, last: LineDigest::of(line.as_bytes()), masks }, line)
    }

    /// The next line: a fact.
    pub fn fact(&mut self, fact: &Fact) -> String {
        self.entry(fact.kind(), Some(fact.at()), Some(fact.approval_id()), &fact.says(&self.masks))
    }

    /// The next line: a row that cannot be believed.
    pub fn corrupt(&mut self, row: &CorruptRow) -> String {
        self.entry(Kind::Corrupt, None, row.approval_id(), &row.says())
    }

    fn entry(&mut self, kind: Kind, at: Option<Timestamp>, id: Option<ApprovalId>, says: &Value) -> String {
        let line = canonical(&json!({
            "seq": self.seq,
            "at": at.map(|at| at.to_string()),
            "kind": kind.as_str(),
            "approval_id": id.map(|id| id.to_string()),
            "fact": says,
            "previous": self.last.to_string(),
        }));
        self.seq += 1;
        self.last = LineDigest::of(line.as_bytes());
        line
    }

    /// Ends it: what is to be signed.
    pub fn end(self, exported_at: Timestamp, key: &PublicKey) -> UnsignedHead {
        let head = Head::new(&self.header, self.seq - 1, self.last, exported_at);
        UnsignedHead { seq: self.seq, previous: self.last, jws: head.unsigned(&key.id()), jwk: key.to_jwk() }
    }
}

/// A head that lacks its signature.
#[derive(Debug)]
pub struct UnsignedHead {
    seq: u64,
    previous: LineDigest,
    jws: UnsignedJws,
    jwk: Jwk,
}

impl UnsignedHead {
    /// SHA-256 of the JWS signing input: what the audit key signs.
    pub fn digest(&self) -> [u8; 32] {
        self.jws.digest()
    }

    /// The last line. The key in it is for readers who have its thumbprint; nobody is to trust it for being there. Of the two
    /// forms of a signature it has the one with the low `s`, so that there is one last line that holds.
    pub fn signed(self, signature: &Signature) -> String {
        canonical(&json!({
            "seq": self.seq,
            "kind": "head",
            "head": self.jws.signed(&signature.low_s()),
            "jwk": self.jwk,
            "previous": self.previous.to_string(),
        }))
    }
}
