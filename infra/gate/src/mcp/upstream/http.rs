//! A server at a URL: streamable HTTP, in both eras of the protocol.

use super::{CannotOpen, Open};
use crate::mcp::Line;

/// A URL and the way there.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    url: String,
}

impl Endpoint {
    pub(super) fn new(url: &str, authorization: Option<&str>) -> Result<Self, CannotOpen> {
        let _ = authorization;
        Ok(Self { url: url.to_owned() })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn open(&self, open: Open) -> Line {
        let _ = open;
        Line::pair().0
    }
}
