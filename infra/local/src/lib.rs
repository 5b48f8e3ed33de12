//! The local deployment: every function in one process, in front of three loopback endpoints that answer the real AWS
//! SDK clients: a DynamoDB engine ([`engine`]), a mail outbox ([`outbox`]) and a signer ([`signer`]).

pub mod engine;
mod functions;
pub mod host;
pub mod outbox;
mod settings;
pub mod signer;
