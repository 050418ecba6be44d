//! Why nftables did not do what it was told.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a mitigation could not be enforced, or its counters not be read.
#[derive(Debug, thiserror::Error)]
pub enum MitigatorError {
    /// There is no such program.
    #[error(
        "{} is not there: install the package nftables, or set the path of nft",
        program.display()
    )]
    NotInstalled {
        /// The program that was looked for.
        program: PathBuf,
    },
    /// The program could not be run.
    #[error("cannot run {}: {source}", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program did not come to an end, and was killed.
    #[error(
        "{} took longer than {} s and was killed; what it was to change may have happened or not",
        program.display(),
        limit.as_secs_f32()
    )]
    TimedOut {
        /// The program.
        program: PathBuf,
        /// How long it may take.
        limit: Duration,
    },
    /// The kernel does not let this process change filters.
    #[error(
        "not permitted to change the filters of this machine: run as root or with CAP_NET_ADMIN \
         (nft says: {stderr})"
    )]
    NotPermitted {
        /// The first lines of what nft said.
        stderr: String,
    },
    /// There is no such table.
    #[error("the table is not there (nft says: {stderr})")]
    Missing {
        /// The first lines of what nft said.
        stderr: String,
    },
    /// In a user namespace the kernel takes small transactions only.
    #[error(
        "too many filters for one change (nft says: {stderr}): run as root outside a user \
         namespace, or raise net.core.wmem_default"
    )]
    TooLarge {
        /// The first lines of what nft said.
        stderr: String,
    },
    /// nft or the kernel refused.
    #[error("nft refused the change: {stderr}")]
    Rejected {
        /// The first lines of what nft said.
        stderr: String,
    },
    /// nft's listing is not what it should be.
    #[error("nft's listing cannot be read: {source}")]
    Listing {
        /// Where and why.
        source: serde_json::Error,
    },
}
