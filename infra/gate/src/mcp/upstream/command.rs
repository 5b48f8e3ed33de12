//! A server that is a command: a message a line, over its standard input and output.

use serde_json::json;

use super::{CannotOpen, Open};
use crate::mcp::Line;

/// A command and what of our environment it must not see.
#[derive(Debug, Clone)]
pub(super) struct Program {
    argv: Vec<String>,
}

impl Program {
    pub(super) fn from_env(argv: Vec<String>) -> Result<Self, CannotOpen> {
        Ok(Self { argv })
    }

    pub(super) fn name(&self) -> String {
        json!(self.argv).to_string()
    }

    pub(super) fn open(&self, open: Open) -> Result<Line, CannotOpen> {
        let _ = open;
        Err(CannotOpen(String::new()))
    }
}
