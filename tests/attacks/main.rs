//! What an attacker can reach: the agent, a scanner in front of the mailbox, another site, whoever writes the table.
//! Each test is a promise, named after what must happen.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop")]

mod bad_arguments;
mod bad_messages;
mod hostile_content;
mod inspect;
mod mails;
mod nothing_the_agent_sees;
mod scanner;
mod secrets;
mod strangers;
mod tampered_table;
