//! Provisioning domains (PvDs): what one way to the internet brings with it.
//!
//! The schema comes first, the carriers after: a [`ProvisioningDomain`] is one typed object, and a
//! Router Advertisement, a DHCP lease, a tunnel or a file is only a way to learn it, recorded in
//! [`Learned`]. A new carrier changes no schema (RFC 7556 §2, RFC 8801 §3).
//!
//! * [`identifier`]: the name of a PvD and how two names compare.
//! * [`name`]: domain names.
//! * [`domain`]: the object.
//! * [`evidence`]: what speaks for it, and when that is enough.
//! * [`dependency`]: which PvD is needed to learn of which.
//! * [`information`]: what a network says of itself beyond an advertisement, as JSON.
//! * [`bindings`]: what carriers bring, read and written.
//! * [`learned`]: where one was learned, and what of it whoever asks for help believes.
//! * [`host`]: how a node learns them from its links.
//! * [`router`]: what a router advertises of PvDs, and when.
//! * [`selection`]: which of them what is new is sent by.
//! * [`set`]: the PvDs a node has at one time, and whom each address belongs to.
//! * [`source_address`]: which of its own addresses a node sends from.
//! * [`anycast`]: servers that cannot be told apart by their address.
//! * [`prefix_map`]: which prefix lies in which.
//! * [`division`]: a target cut where the owner changes.

pub mod anycast;
pub mod bindings;
pub mod dependency;
pub mod division;
pub mod domain;
pub mod evidence;
pub mod host;
pub mod identifier;
pub mod information;
pub mod learned;
pub mod name;
pub mod prefix_map;
pub mod router;
pub mod selection;
pub mod set;
pub mod source_address;

pub use anycast::SharedAddress;
pub use dependency::Dependencies;
pub use division::{Division, Piece, TooManyPieces};
pub use domain::{
    DotsAgent, DotsServer, Endpoint, InterfaceName, InterfaceNameError, ProvisioningDomain,
    Transport,
};
pub use evidence::{
    DataEvidence, Evidence, Insufficient, KeyBinding, LinkEvidence, TrustPolicy, Use,
};
pub use identifier::{IdentifierError, PvdId};
pub use information::AdditionalInformation;
pub use learned::{Learned, Observed};
pub use name::{DomainName, HostName, NameError};
pub use prefix_map::PrefixMap;
pub use set::{Owners, PvdSet};
pub use source_address::OwnAddress;
