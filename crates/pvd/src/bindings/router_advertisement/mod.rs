//! Router Advertisements with the PvD option (RFC 4861 §4.2, RFC 8801 §3).
//!
//! ```text
//! ICMPv6 message -> header, options (outer)
//!                     `-> PvD option -> header (inner, R-flag), options (inner)
//! ```
//! [`RouterAdvertisement::header`] and [`RouterAdvertisement::options`] are what a host that knows PvDs goes by: the
//! inner header, where there is one, and the options of both places.

mod header;
mod neighbor_discovery;
mod pvd_option;
mod reader;
mod split;
#[cfg(test)]
mod tests;

pub use header::{Header, Preference};
pub use neighbor_discovery::{Lifetime, NdOption, PrefixInformation, RouteInformation};
pub use pvd_option::{Announced, Delay, PvdOption};
pub use split::TooLarge;

pub(super) use reader::options;

use crate::identifier::IdentifierError;
use crate::name::NameError;

/// The type of the ICMPv6 message (RFC 4861 §4.2).
pub const MESSAGE_TYPE: u8 = 134;

/// A Router Advertisement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterAdvertisement {
    /// The header that hosts without PvDs go by.
    pub outer: Header,
    /// The options that hosts without PvDs see, the PvD option apart.
    pub outer_options: Vec<NdOption>,
    /// The PvD that all of it belongs to; `None`: the implicit one of the interface and of the source address.
    pub pvd: Option<PvdOption>,
}

/// A Router Advertisement as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What is to be taken of it.
    pub advertisement: RouterAdvertisement,
    /// Options that a host leaves out, with the reasons.
    pub ignored: Vec<Ignored>,
}

/// An option that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its type.
    pub kind: u8,
    /// Why.
    pub reason: Malformed,
}

/// What is wrong with a message or an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It is no Router Advertisement, or shorter than its header.
    #[error("it is shorter than the header of a Router Advertisement, or another message")]
    Message,
    /// An option has length 0, or is longer than what is left (RFC 4861 §4.6): nothing of the message counts.
    #[error("the length of an option is 0 or beyond the end")]
    Length,
    /// An option of this type cannot have this length or this value.
    #[error("it cannot have this length or value")]
    Value,
    /// A domain name that cannot be read.
    #[error("its domain name: {0}")]
    Name(NameError),
    /// The name in the PvD option cannot be a PvD ID.
    #[error("its domain name cannot be a PvD ID")]
    Identifier,
    /// A PvD option within a PvD option (RFC 8801 §3.2).
    #[error("a PvD option holds no PvD option")]
    Nested,
    /// Another PvD option than the first one (RFC 8801 §3.4).
    #[error("only the first PvD option of a Router Advertisement counts")]
    Second,
}

impl From<NameError> for Malformed {
    fn from(error: NameError) -> Self {
        Self::Name(error)
    }
}

impl From<IdentifierError> for Malformed {
    fn from(_: IdentifierError) -> Self {
        Self::Identifier
    }
}

impl RouterAdvertisement {
    /// Reads an ICMPv6 message, from its type on. Whether it came with hop limit 255 and from a link-local address
    /// (RFC 4861 §6.1.2), the receiver knows; the checksum is the kernel's.
    ///
    /// # Errors
    /// [`Malformed::Message`] and [`Malformed::Length`]: the message is to be discarded. What is wrong with one option
    /// only costs this one.
    pub fn decode(message: &[u8]) -> Result<Received, Malformed> {
        reader::read(message)
    }

    /// The ICMPv6 message, with checksum 0, which the kernel fills in.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Vec::new();
        self.outer.write(&mut message);
        for option in &self.outer_options {
            option.write(&mut message);
        }
        if let Some(pvd) = &self.pvd {
            pvd.write(&mut message);
        }
        message
    }

    /// The header that a host with PvDs goes by: the inner one, where there is one (RFC 8801 §3.4).
    pub fn header(&self) -> &Header {
        let inner = self.pvd.as_ref().and_then(|pvd| pvd.header.as_ref());
        inner.unwrap_or(&self.outer)
    }

    /// The options that a host with PvDs goes by, all of which belong to the one PvD (RFC 8801 §3.4).
    pub fn options(&self) -> impl Iterator<Item = &NdOption> {
        let inner = self.pvd.iter().flat_map(|pvd| &pvd.options);
        self.outer_options.iter().chain(inner)
    }
}
