//! Sequence numbers of additional information (RFC 8801 §4.2), which outlive the program.

use std::collections::BTreeMap;

use crate::identifier::PvdId;

/// A digest of the additional information: other octets have another one.
pub type Digest = [u8; 32];

/// The number of what is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// What.
    pub digest: Digest,
    /// Its number.
    pub sequence_number: u16,
}

/// The number of each PvD's additional information. One PvD has one number, on whatever interfaces it is advertised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceNumbers(BTreeMap<PvdId, Numbered>);

impl SequenceNumbers {
    /// Those that were remembered.
    pub fn remembered(numbers: impl IntoIterator<Item = (PvdId, Numbered)>) -> Self {
        Self(numbers.into_iter().collect())
    }

    /// Whether this is what the number of a PvD stands for.
    pub fn is_known(&self, id: &PvdId, digest: &Digest) -> bool {
        self.0.get(id).is_some_and(|known| known.digest == *digest)
    }

    /// The number of this additional information, and whether it is a new one, which must be remembered before anybody is told.
    /// What is other than before has the next number, and 0 after the last; what was never seen begins anywhere, since hosts may know
    /// a number of it although it was forgotten here.
    pub fn number(
        &mut self,
        id: &PvdId,
        digest: Digest,
        random: &mut fastrand::Rng,
    ) -> (u16, bool) {
        let known = self.0.get(id).copied();
        let sequence_number = match known {
            Some(known) if known.digest == digest => return (known.sequence_number, false),
            Some(known) => known.sequence_number.wrapping_add(1),
            None => random.u16(..),
        };
        let numbered = Numbered {
            digest,
            sequence_number,
        };
        self.0.insert(id.clone(), numbered);
        (sequence_number, true)
    }

    /// All of them, to be remembered.
    pub fn iter(&self) -> impl Iterator<Item = (&PvdId, &Numbered)> {
        self.0.iter()
    }
}
