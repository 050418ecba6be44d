//! What speaks for what is known of a PvD: the link that brought it, and what was proved of the data itself.
//!
//! The two are kept side by side, and neither stands in for the other: a link says who is near, a signature says who wrote
//! it, TLS says whom it was fetched from and nothing afterwards. [`TrustPolicy`] says how much of both a use needs.

use std::fmt;
use std::str::FromStr;

/// What speaks for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Of the way it came.
    pub link: LinkEvidence,
    /// Of itself.
    pub data: DataEvidence,
}

/// How hard it is to be a stranger on the link that brought something, from easy to hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkEvidence {
    /// It came over no link of the PvD: from a cache, a stick or a neighbour.
    Absent,
    /// A wireless network that everybody may join, and imitate.
    OpenWireless,
    /// A wireless network with a key that all its users share.
    SecuredWireless,
    /// A network that lets in whom it has authenticated (IEEE 802.1X).
    Authenticated,
    /// A cable.
    Wired,
    /// A tunnel between ends that have authenticated each other.
    Vpn,
    /// The administrator of this node wrote it.
    Manual,
}

/// What was proved of an object, from nothing to much.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataEvidence {
    /// Nothing.
    Absent,
    /// Whoever gave it could present a certificate for the PvD's name. That proves nothing to a third party, and
    /// nothing once the connection is over.
    Tls,
    /// It was signed with a key that is bound to the PvD's name.
    Signed(KeyBinding),
}

/// What binds a key to the name of a PvD.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyBinding {
    /// A certificate for the name, from an authority that is trusted.
    Certificate,
    /// A TLSA record that DNSSEC validates (RFC 6698).
    Dane,
    /// The administrator of this node wrote the key down.
    Pinned,
}

/// What something is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// Which addresses are those of the network, and where its routers and resolvers are. It holds at a place, so no signature is enough
    /// without the link.
    Attachment,
    /// Which names are asked of the network's resolvers and of nobody else.
    Names,
    /// Which DOTS servers protect its prefixes.
    DotsServers,
    /// Where a tunnel leads, and through which proxies one reaches what.
    Ways,
    /// With what a device gets into a network.
    Credentials,
}

/// How much evidence is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    /// Over a link that is weaker only what is signed counts, for everything but [`Use::Attachment`], which a node could not do without.
    pub unsigned_from: LinkEvidence,
}

impl Default for TrustPolicy {
    /// What was signed is not asked for where one must know somebody to be on the link.
    fn default() -> Self {
        Self {
            unsigned_from: LinkEvidence::SecuredWireless,
        }
    }
}

/// Why evidence is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Insufficient {
    /// It holds at a place, and nothing says that this node is there.
    #[error("it came over no link of the PvD, and only there it holds")]
    NoLink,
    /// Neither a signature nor TLS.
    #[error(
        "nothing proves who wrote it: it is not signed, and was not fetched over TLS from the PvD's name"
    )]
    Unproved,
    /// TLS alone, and the link does not make up for it.
    #[error(
        "it is not signed, which policy asks for over {link}, a link weaker than {unsigned_from}"
    )]
    Unsigned {
        /// The link that it came over.
        link: LinkEvidence,
        /// The weakest over which TLS is enough.
        unsigned_from: LinkEvidence,
    },
    /// What admits to a network is never taken from a connection that proves nothing afterwards.
    #[error("credentials are taken only where they are signed, or the administrator wrote them")]
    UnsignedCredentials,
}

impl TrustPolicy {
    /// Whether the evidence is enough for the use.
    ///
    /// # Errors
    /// [`Insufficient`], with what is missing.
    pub fn check(&self, evidence: &Evidence, to: Use) -> Result<(), Insufficient> {
        let is_signed = matches!(evidence.data, DataEvidence::Signed(_));
        match to {
            _ if evidence.link == LinkEvidence::Manual => Ok(()),
            Use::Attachment if evidence.link == LinkEvidence::Absent => Err(Insufficient::NoLink),
            Use::Attachment => Ok(()),
            _ if is_signed => Ok(()),
            Use::Credentials => Err(Insufficient::UnsignedCredentials),
            _ if evidence.data == DataEvidence::Absent => Err(Insufficient::Unproved),
            _ if evidence.link < self.unsigned_from => Err(Insufficient::Unsigned {
                link: evidence.link,
                unsigned_from: self.unsigned_from,
            }),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for LinkEvidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "no link",
            Self::OpenWireless => "open WLAN",
            Self::SecuredWireless => "WLAN with a shared key",
            Self::Authenticated => "802.1X",
            Self::Wired => "a cable",
            Self::Vpn => "a VPN",
            Self::Manual => "the administrator",
        })
    }
}

impl fmt::Display for DataEvidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Absent => "nothing",
            Self::Tls => "TLS",
            Self::Signed(KeyBinding::Certificate) => "signature, certificate for the name",
            Self::Signed(KeyBinding::Dane) => "signature, key in DNSSEC",
            Self::Signed(KeyBinding::Pinned) => "signature, pinned key",
        })
    }
}

/// Words that stand for no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no evidence")]
pub struct UnknownEvidence(String);

impl FromStr for LinkEvidence {
    type Err = UnknownEvidence;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(words: &str) -> Result<Self, UnknownEvidence> {
        let found = LINKS.into_iter().find(|link| link.to_string() == words);
        found.ok_or_else(|| UnknownEvidence(words.to_owned()))
    }
}

impl FromStr for DataEvidence {
    type Err = UnknownEvidence;

    /// Reads what [`fmt::Display`] writes.
    fn from_str(words: &str) -> Result<Self, UnknownEvidence> {
        let signed = [
            KeyBinding::Certificate,
            KeyBinding::Dane,
            KeyBinding::Pinned,
        ];
        let signed = signed.into_iter().map(Self::Signed);
        let mut all = [Self::Absent, Self::Tls].into_iter().chain(signed);
        let found = all.find(|data| data.to_string() == words);
        found.ok_or_else(|| UnknownEvidence(words.to_owned()))
    }
}

const LINKS: [LinkEvidence; 7] = [
    LinkEvidence::Absent,
    LinkEvidence::OpenWireless,
    LinkEvidence::SecuredWireless,
    LinkEvidence::Authenticated,
    LinkEvidence::Wired,
    LinkEvidence::Vpn,
    LinkEvidence::Manual,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_read_as_it_is_written() {
        for link in LINKS {
            assert_eq!(link.to_string().parse(), Ok(link));
        }
        for data in [
            DataEvidence::Absent,
            DataEvidence::Tls,
            DataEvidence::Signed(KeyBinding::Certificate),
            DataEvidence::Signed(KeyBinding::Dane),
            DataEvidence::Signed(KeyBinding::Pinned),
        ] {
            assert_eq!(data.to_string().parse(), Ok(data));
        }
        assert!("a friend".parse::<DataEvidence>().is_err());
        assert!("a friend".parse::<LinkEvidence>().is_err());
    }

    fn check(link: LinkEvidence, data: DataEvidence, to: Use) -> Result<(), Insufficient> {
        TrustPolicy::default().check(&Evidence { link, data }, to)
    }

    /// Covers: P-042
    #[test]
    fn what_holds_at_a_place_needs_the_link_whatever_is_signed() {
        for binding in [
            KeyBinding::Certificate,
            KeyBinding::Dane,
            KeyBinding::Pinned,
        ] {
            let signed = DataEvidence::Signed(binding);
            assert_eq!(
                check(LinkEvidence::Absent, signed.clone(), Use::Attachment),
                Err(Insufficient::NoLink)
            );
            assert_eq!(check(LinkEvidence::Absent, signed, Use::Names), Ok(()));
        }
    }

    /// Covers: P-041
    #[test]
    fn below_the_level_of_the_policy_only_what_is_signed_counts() {
        assert!(LINKS.is_sorted());
        for link in LINKS {
            for to in [Use::Names, Use::DotsServers, Use::Ways] {
                let tls = check(link, DataEvidence::Tls, to);
                assert_eq!(tls.is_ok(), link >= LinkEvidence::SecuredWireless, "{link}");
                let signed = DataEvidence::Signed(KeyBinding::Certificate);
                assert_eq!(check(link, signed, to), Ok(()));
                let nothing = check(link, DataEvidence::Absent, to);
                assert_eq!(nothing.is_ok(), link == LinkEvidence::Manual, "{link}");
            }
        }
    }

    /// Covers: P-040, P-051
    #[test]
    fn tls_never_stands_for_a_signature_under_credentials() {
        for link in LINKS {
            let tls = check(link, DataEvidence::Tls, Use::Credentials);
            assert_eq!(tls.is_ok(), link == LinkEvidence::Manual, "{link}");
        }
    }
}
