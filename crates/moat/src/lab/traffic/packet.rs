//! What is in a packet of the lab's traffic.
//!
//! ```text
//!  0        4       5          7              15                    23       64
//!  | "MOAT" | kind | flow u16 | sequence u64 | sent at, ns u64     | zeroes |
//! ```

use serde::{Deserialize, Serialize};

/// Length of every packet's payload, in bytes.
pub(super) const PACKET_LENGTH: usize = 64;

const MAGIC: [u8; 4] = *b"MOAT";

/// What a packet is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of a flood; not to be answered.
    Attack,
    /// From a visitor.
    Request,
    /// To a visitor.
    Response,
}

/// Number of a flow within the process that sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Flow(pub(crate) u16);

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) kind: Kind,
    pub(super) flow: Flow,
    /// Counts the packets of the flow from 0.
    pub(super) sequence: u64,
    /// CLOCK_MONOTONIC just before it was sent, in nanoseconds.
    pub(super) sent_at: u64,
}

impl Packet {
    pub(super) fn encode(&self) -> [u8; PACKET_LENGTH] {
        let kind = match self.kind {
            Kind::Attack => 1,
            Kind::Request => 2,
            Kind::Response => 3,
        };
        let mut bytes = [0; PACKET_LENGTH];
        let fields = MAGIC
            .into_iter()
            .chain([kind])
            .chain(self.flow.0.to_be_bytes());
        let fields = fields
            .chain(self.sequence.to_be_bytes())
            .chain(self.sent_at.to_be_bytes());
        bytes
            .iter_mut()
            .zip(fields)
            .for_each(|(byte, field)| *byte = field);
        bytes
    }

    /// `None` for what no role of the lab sends.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; PACKET_LENGTH] = bytes.try_into().ok()?;
        let (magic, rest) = bytes.split_first_chunk()?;
        let (&kind, rest) = rest.split_first()?;
        let (&flow, rest) = rest.split_first_chunk()?;
        let (&sequence, rest) = rest.split_first_chunk()?;
        let (&sent_at, zeroes) = rest.split_first_chunk()?;
        let kind = match kind {
            1 => Kind::Attack,
            2 => Kind::Request,
            3 => Kind::Response,
            _ => return None,
        };
        let packet = Packet {
            kind,
            flow: Flow(u16::from_be_bytes(flow)),
            sequence: u64::from_be_bytes(sequence),
            sent_at: u64::from_be_bytes(sent_at),
        };
        (*magic == MAGIC && zeroes.iter().all(|&byte| byte == 0)).then_some(packet)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_packet_survives_the_wire(kind in 0..3_usize, flow: u16, sequence: u64, sent_at: u64) {
            let kind = [Kind::Attack, Kind::Request, Kind::Response][kind];
            let packet = Packet { kind, flow: Flow(flow), sequence, sent_at };
            prop_assert_eq!(Packet::decode(&packet.encode()), Some(packet));
        }

        #[test]
        fn arbitrary_bytes_are_no_packet(bytes in proptest::collection::vec(any::<u8>(), 0..2 * PACKET_LENGTH)) {
            prop_assert_eq!(Packet::decode(&bytes), None);
        }
    }
}
