//! The only code that talks to DynamoDB, SES and KMS, and the only place where the clock and randomness live.
//!
//! One [`Store`], one [`Mailer`], one [`Signer`], each concrete over its real AWS client. The local host and the
//! tests give those clients other endpoints, never other code.

mod aws;
mod clock;
mod environment;
mod failure;
pub mod log;
mod mailer;
pub mod operator;
pub mod random;
mod roots;
mod signer;
mod store;

pub use aws::{
    ATTEMPT_LIMIT, ATTEMPTS, Aws, CONNECT_LIMIT, Endpoints, INTERACTIVE_TIMEOUTS, OPERATION_LIMIT,
    READ_ATTEMPTS, interactive_http_client,
};
pub use clock::Clock;
pub use environment::{VariableError, optional, required};
pub use failure::{Failure, StartError};
pub use mailer::{APPROVAL_TAG, Mail, Mailer, SendError};
pub use operator::{Audited, Recorded, RecordedApproval};
pub use roots::{Roots, RootsError};
pub use signer::{KeyIds, PublicKeys, Signer, verifies_rs256};
pub use store::{
    Claim, Concluded, Enrolled, MAX_PASSKEYS, Passkeys, PointerClaim, Reached, Redeemed, RequestRef, Settled,
    Store, StoredApproval, Wait,
};
