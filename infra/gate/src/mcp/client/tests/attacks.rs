//! Clients that are up to no good.
