//! The world the suites live in: a local deployment of its own for each test, in memory, with scripted time, entered
//! only as its users enter it: an MCP client, a browser's requests, a mail.
#![expect(clippy::expect_used, clippy::missing_panics_doc, reason = "a test that cannot go on should stop")]

mod agent;
/// Passkeys in software, honest and not.
pub mod authenticator;
mod browser;
mod chromium;
mod dice;
mod engine;
mod enrolling;
mod front;
mod function_url;
mod golden;
mod issuing;
mod local;
/// Clients of what listens on this machine.
pub mod loopback;
mod program;
mod raw;
mod runtime_api;
mod table;
mod tap;
mod template;
mod world;

pub use agent::{Agent, Answer, asking};
pub use authenticator::{Authenticator, Ceremony};
pub use browser::{Browser, Form, Page, Verdict};
pub use chromium::{Chromium, DESKTOP, Device, PHONE, Scheme};
pub use dice::Dice;
pub use engine::backends;
pub use enrolling::Invited;
pub use front::{Front, Trouble};
pub use function_url::{Call, Reply};
pub use golden::expect_golden;
pub use issuing::{Approved, SETTLED, action};
pub use local::{Local, Ready, six_free_ports};
pub use program::{Program, binary, workspace};
pub use raw::{Protocol, Raw, RawAnswer};
pub use runtime_api::Function;
pub use table::{Row, Table, number, string};
pub use tap::{Fault, Permission, Tap};
pub use template::Template;
pub use world::{Link, World};
