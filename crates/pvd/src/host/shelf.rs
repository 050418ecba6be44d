//! Signed objects, whoever brought them: a file, a cache, a stick, a neighbour, a tunnel, and servers of PvDs.
//!
//! ```text
//! what counts for a PvD on an interface:
//!   1. what its server gave under the sequence number that is announced now
//!   2. of what came to the shelf since that number last changed: what expires last, at a tie what the administrator gave
//! ```
//! That a number changed is heard by who is attached; so on a network that was just joined the shelf counts until the server has been asked.
//! Which of two objects is the later one their expiry tells, for they have nothing else that could; nothing of security hangs on it
//! (RFC 8801 §6), since both are genuine. Where the server was asked and the certificate was not for the PvD, or it said that there is
//! none, the PvD has none (RFC 8801 §4.1), whatever is on the shelf.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::held::earliest;
use super::information::Obtained;
use super::order::Now;
use crate::evidence::{DataEvidence, KeyBinding};
use crate::identifier::PvdId;
use crate::information::Refused;

/// An object whose signature was found to be good, however it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedObject {
    /// What was signed: the JSON.
    pub bytes: Vec<u8>,
    /// The compact JWS that it was in, which is kept: it proves to others what the PvD said (TLS proves it to nobody).
    pub compact: Arc<str>,
    /// What binds its key to the name of the PvD that it says it is about.
    pub binding: KeyBinding,
    /// Who brought it.
    pub provenance: Provenance,
}

/// Who brought a signed object; it says nothing of what it is worth, only who gives way where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provenance {
    /// Some network's server: any network can bring names of its own, so the oldest gives way.
    Fetched,
    /// The administrator, who is told when there is no room.
    Given,
}

/// Why an object is not put on the shelf.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotShelved {
    /// It does not count as additional information.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is one that lasts longer.
    #[error("another one of {0} is there, which expires later")]
    Outlasted(PvdId),
    /// There is no room.
    #[error("there is no room for more than {0} PvDs")]
    Full(usize),
}

/// What there is, by the PvD that it is about.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    objects: BTreeMap<(PvdId, Provenance), Shelved>,
    last: u64,
    revision: u64,
}

#[derive(Debug)]
struct Shelved {
    obtained: Obtained,
    /// Higher than those of all that came before.
    number: u64,
}

impl Shelf {
    /// Up to which number there are objects by now.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Another number when something is different.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Puts an object there, and says whether it is another one than before. The same again is no newer for that. What its server gave just
    /// now takes the place of what a server gave before, however long that would last.
    ///
    /// # Errors
    /// [`NotShelved`]
    pub(super) fn put(
        &mut self,
        obtained: Obtained,
        provenance: Provenance,
        is_just_given: bool,
        most: usize,
        now: Now,
    ) -> Result<bool, NotShelved> {
        self.expire(now);
        let id = obtained.information.identifier.clone();
        let key = (id, provenance);
        let expires = obtained.information.expires;
        let before = self.objects.get(&key);
        match before {
            Some(before) if before.obtained.signed == obtained.signed => return Ok(false),
            Some(before) if before.obtained.information.expires > expires && !is_just_given => {
                return Err(NotShelved::Outlasted(key.0));
            }
            Some(_) => {}
            None => self.make_room(provenance, most)?,
        }
        self.revision += 1;
        self.last += 1;
        let number = self.last;
        self.objects.insert(key, Shelved { obtained, number });
        Ok(true)
    }

    fn make_room(&mut self, provenance: Provenance, most: usize) -> Result<(), NotShelved> {
        let alike = self.objects.iter().filter(|((_, of), _)| *of == provenance);
        if alike.clone().count() < most {
            return Ok(());
        }
        let oldest = alike.min_by_key(|(_, shelved)| shelved.number);
        match oldest.map(|(key, _)| key.clone()) {
            Some(oldest) if provenance == Provenance::Fetched => {
                self.objects.remove(&oldest);
                Ok(())
            }
            _ => Err(NotShelved::Full(most)),
        }
    }

    /// What there is of a PvD that came after the object of this number.
    pub(super) fn of(&self, id: &PvdId, after: u64, now: Now) -> Option<&Obtained> {
        let both = [Provenance::Fetched, Provenance::Given].map(|provenance| {
            let shelved = self.objects.get(&(id.clone(), provenance))?;
            (shelved.number > after && !shelved.obtained.is_over(now)).then_some(&shelved.obtained)
        });
        let both = both.into_iter().flatten();
        both.max_by_key(|obtained| obtained.information.expires)
    }

    /// All that there is, by PvD.
    pub(super) fn all(&self, now: Now) -> impl Iterator<Item = &Obtained> {
        let ids: BTreeSet<_> = self.objects.keys().map(|(id, _)| id).collect();
        ids.into_iter().filter_map(move |id| self.of(id, 0, now))
    }

    /// Lets go what has expired, and says whether something has.
    pub(super) fn expire(&mut self, now: Now) -> bool {
        let before = self.objects.len();
        self.objects
            .retain(|_, shelved| !shelved.obtained.is_over(now));
        let is_over = self.objects.len() < before;
        self.revision += u64::from(is_over);
        is_over
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let shelved = self.objects.values();
        earliest(shelved.map(|shelved| Some(shelved.obtained.until())))
    }
}

impl SignedObject {
    /// With what was proved of it.
    pub(super) fn read(self, now: Now) -> Result<Obtained, Refused> {
        let data = DataEvidence::Signed(self.binding);
        Obtained::read(&self.bytes, data, Some(self.compact), now)
    }
}
