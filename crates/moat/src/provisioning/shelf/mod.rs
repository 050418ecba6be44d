//! Signed objects as files: folders that somebody puts them into, and the folder in which they are kept over a restart.
//!
//! ```text
//! folders --look--> signature --Brought--> the host's shelf --Keep--> cache
//! cache ------------ signature ----------------^   at the start
//! ```
//! A file is never believed for where it is: each is verified when it is read, those in the cache as well.

mod cache;
mod folder;

use std::sync::Arc;
use std::time::SystemTime;

use jose::{Anchors, Forged};
use pvd::host::{Provenance, SignedObject};

pub(crate) use self::cache::Cache;
pub(crate) use self::folder::{Brought, watch};

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It proves nothing.
    #[error("it proves nothing: {0}")]
    Forged(#[from] Forged),
    /// It is no text.
    #[error("it is no compact JWS")]
    NoText,
}

/// The object in a file, if its signature is one of a key that is bound to its PvD.
fn verified(
    content: Vec<u8>,
    provenance: Provenance,
    anchors: &Anchors,
    now: SystemTime,
) -> Result<SignedObject, Refused> {
    let text = String::from_utf8(content).map_err(|_| Refused::NoText)?;
    let compact: Arc<str> = text.trim_ascii().into();
    let verified = jose::verify(&compact, anchors, now)?;
    Ok(SignedObject {
        bytes: jose::payload_unverified(&compact)?,
        compact,
        binding: verified.binding,
        provenance,
    })
}
