//! The PvD option (RFC 8801 §3.1).

use super::header::{self, Header};
use super::neighbor_discovery::{UNIT, close};
use super::{Ignored, Malformed, NdOption, reader};
use crate::identifier::PvdId;
use crate::name::DomainName;

/// The type of the option.
pub(super) const KIND: u8 = 21;

/// Octets before the name.
const FIXED: usize = 6;

const HTTP: u16 = 0x8000;
const LEGACY: u16 = 0x4000;
const ROUTER_ADVERTISEMENT: u16 = 0x2000;

/// Names an explicit PvD, and carries what belongs to it and is not for hosts that know no PvDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PvdOption {
    /// The PvD.
    pub id: PvdId,
    /// The H-flag with what comes with it; `None`: no additional information is to be asked for.
    pub additional_information: Option<Announced>,
    /// The L-flag: what DHCPv4 brings on this interface belongs to the PvD (RFC 8801 §3.4.2).
    pub has_legacy: bool,
    /// The R-flag: the header that counts in place of the outer one.
    pub header: Option<Header>,
    /// What is for hosts that know PvDs alone.
    pub options: Vec<NdOption>,
}

/// Additional information that can be had (RFC 8801 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// By how much hosts put off asking for it.
    pub delay: Delay,
    /// Changes with what is to be had.
    pub sequence_number: u16,
}

/// An exponent of a delay, from 0 to 15 (RFC 8801 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(u8);

impl Delay {
    /// `None` beyond 15.
    pub fn new(exponent: u8) -> Option<Self> {
        (exponent <= 15).then_some(Self(exponent))
    }

    /// The longest time by which hosts put off asking, in milliseconds: 2 to the power of 10 and the exponent.
    pub fn longest_milliseconds(self) -> u64 {
        1 << (10 + u32::from(self.0))
    }
}

impl PvdOption {
    /// Reads what follows type and length. What is wrong with one inner option only costs this one.
    pub(super) fn read(body: &[u8], ignored: &mut Vec<Ignored>) -> Result<Self, Malformed> {
        let &[a, b, s1, s0, ref rest @ ..] = body else {
            return Err(Malformed::Value);
        };
        let flags = u16::from_be_bytes([a, b]);
        let (name, behind) = DomainName::read(rest)?;
        let id = PvdId::try_from(name)?;
        // Padding up to a multiple of eight octets from the type on.
        let named = FIXED + rest.len() - behind.len();
        let padding = named.next_multiple_of(UNIT) - named;
        let mut rest = behind.get(padding..).ok_or(Malformed::Length)?;
        let mut inner = None;
        if flags & ROUTER_ADVERTISEMENT != 0 {
            let (header, options) = rest
                .split_first_chunk::<{ header::LENGTH }>()
                .ok_or(Malformed::Length)?;
            inner = Some(Header::read(header));
            rest = options;
        }
        let mut options = Vec::new();
        for option in reader::options(rest) {
            let (kind, body) = option?;
            match kind {
                KIND => ignored.push(Ignored {
                    kind,
                    reason: Malformed::Nested,
                }),
                _ => reader::take(kind, body, &mut options, ignored),
            }
        }
        let announced = Announced {
            delay: Delay(flags.to_be_bytes()[1] & 15),
            sequence_number: u16::from_be_bytes([s1, s0]),
        };
        Ok(Self {
            id,
            additional_information: (flags & HTTP != 0).then_some(announced),
            has_legacy: flags & LEGACY != 0,
            header: inner,
            options,
        })
    }

    /// Octets of it on the wire.
    pub(super) fn length(&self) -> usize {
        let mut message = Vec::new();
        self.write(&mut message);
        message.len()
    }

    pub(super) fn write(&self, message: &mut Vec<u8>) {
        let start = message.len();
        let announced = self.additional_information;
        let http = announced.map_or(0, |announced| HTTP | u16::from(announced.delay.0));
        let legacy = if self.has_legacy { LEGACY } else { 0 };
        let inner = self.header.map_or(0, |_| ROUTER_ADVERTISEMENT);
        message.extend([KIND, 0]);
        message.extend((http | legacy | inner).to_be_bytes());
        let sequence_number = announced.map_or(0, |announced| announced.sequence_number);
        message.extend(sequence_number.to_be_bytes());
        self.id.write(message);
        message.resize(start + (message.len() - start).next_multiple_of(UNIT), 0);
        if let Some(header) = &self.header {
            // Its type is 134, its code and its checksum are 0.
            header.write(message);
        }
        for option in &self.options {
            option.write(message);
        }
        close(message, start);
    }
}
