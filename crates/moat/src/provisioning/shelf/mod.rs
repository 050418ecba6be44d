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

use jose::onboarding::{self, NotOnboarding};
use jose::{Anchors, Forged};
use pvd::PvdId;
use pvd::host::{Provenance, SignedObject};
use pvd::information::AdditionalInformation;

pub(crate) use self::cache::Cache;
pub(crate) use self::folder::{Brought, watch};

/// By what files are judged.
#[derive(Clone)]
pub(crate) struct Judge {
    /// Whose signatures are believed.
    pub(crate) anchors: Arc<Anchors>,
    /// What is not pinned the DNS has to confirm first.
    pub(crate) asks_dns: bool,
}

/// What a file proves.
#[derive(Debug)]
pub(crate) enum Judged {
    /// Its signature is one of a key that is bound to its PvD.
    Proved(SignedObject),
    /// Which keys are bound to its PvD the DNS has to say.
    Unconfirmed(Unconfirmed),
}

/// An object of which nothing is believed yet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unconfirmed {
    /// The PvD that it says it is about.
    pub(crate) pvd: PvdId,
    /// Who brought it.
    pub(crate) provenance: Provenance,
    compact: Arc<str>,
}

impl Unconfirmed {
    /// What it proves by these keys.
    ///
    /// # Errors
    /// [`Forged`]
    pub(crate) fn confirm(
        self,
        anchors: &Anchors,
        now: SystemTime,
    ) -> Result<SignedObject, Forged> {
        proved(self.compact, self.provenance, anchors, now)
    }
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It proves nothing.
    #[error("it proves nothing: {0}")]
    Forged(#[from] Forged),
    /// It looks like the text of a QR code.
    #[error(transparent)]
    NotOnboarding(#[from] NotOnboarding),
    /// It is no text.
    #[error("it is no compact JWS")]
    NoText,
}

/// The object in a file.
fn judged(
    content: Vec<u8>,
    provenance: Provenance,
    judge: &Judge,
    now: SystemTime,
) -> Result<Judged, Refused> {
    let text = String::from_utf8(content).map_err(|_| Refused::NoText)?;
    let short = onboarding::from_text(text.trim_end_matches(['\r', '\n']))?;
    let compact: Arc<str> = match short {
        Some(compact) => compact.into(),
        None => text.trim_ascii().into(),
    };
    if judge.asks_dns {
        let payload = jose::payload_unverified(&compact)?;
        let read = AdditionalInformation::read(&payload, now).map_err(Forged::Payload)?;
        let pvd = read.information.identifier;
        if !judge.anchors.pinned.contains_key(&pvd) {
            return Ok(Judged::Unconfirmed(Unconfirmed {
                pvd,
                provenance,
                compact,
            }));
        }
    }
    let proved = proved(compact, provenance, &judge.anchors, now)?;
    Ok(Judged::Proved(proved))
}

fn proved(
    compact: Arc<str>,
    provenance: Provenance,
    anchors: &Anchors,
    now: SystemTime,
) -> Result<SignedObject, Forged> {
    let verified = jose::verify(&compact, anchors, now)?;
    Ok(SignedObject {
        bytes: jose::payload_unverified(&compact)?,
        compact,
        binding: verified.binding,
        provenance,
    })
}
