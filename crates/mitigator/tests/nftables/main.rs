//! The nftables back end with the real nft and the real kernel, each test in a network namespace of
//! its own. The test binary runs itself again under `unshare`, so that root is not needed where
//! user namespaces are allowed.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "real packets from real sockets; the rest is constant"
)]

mod errors;
mod namespace;
mod packets;
mod reconcile;
mod table;
