//! Why a server is asked, or is not.

use std::fmt;

use ipnet::IpNet;
use pvd::{PvdId, TooManyPieces};

/// Why a server is asked, is not, or why nobody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The PvD assigned the prefix in which the target lies.
    Assigned {
        /// What is to be protected.
        target: IpNet,
        /// What the PvD assigned.
        prefix: IpNet,
    },
    /// Another PvD of the same provider assigned it.
    AssignedByProvider {
        /// What is to be protected.
        target: IpNet,
        /// The PvD that assigned it.
        by: PvdId,
    },
    /// The prefix is the site's own, and any provider may carry it.
    Independent {
        /// What is to be protected.
        target: IpNet,
        /// The site's own prefix.
        prefix: IpNet,
    },
    /// Only the gateway knows whether the target belongs to its upstream.
    GatewayDecides {
        /// What is to be protected.
        target: IpNet,
    },
    /// The administrator has consented to ask servers of networks that did not assign the target.
    Consented {
        /// What is to be protected.
        target: IpNet,
    },
    /// The PvD assigned none of the targets, so its network cannot stop the attack.
    AssignedNone,
    /// Another server of the same PvD, or of the same provider, is asked.
    SameProvider {
        /// The other server.
        asked: String,
    },
    /// One provider is enough for a prefix of the site itself, and another is asked.
    OneIsEnough {
        /// The other PvD.
        asked: PvdId,
    },
    /// The attack was seen on other networks only.
    NotSeenThere,
    /// The administrator named others for this prefix.
    OthersPreferred {
        /// The prefix of the preference.
        prefix: IpNet,
    },
    /// The administrator named only PvDs that may not be asked.
    PreferredMayNot {
        /// The prefix of the preference.
        prefix: IpNet,
    },
    /// The PvD assigned a target, but names no DOTS server.
    NoDotsServer,
    /// No PvD assigned the target, and no other server may be asked instead.
    AssignedByNobody,
    /// Only parts of the target were assigned by anybody; nobody can be asked for the rest.
    PartlyAssigned {
        /// What nobody assigned.
        left: Vec<IpNet>,
    },
    /// No request has room for all that is to be protected.
    Unsayable,
    /// The target is too wide to say who is to be asked for which part of it.
    TooWide(TooManyPieces),
}

impl Reason {
    /// The section that the reason rests on.
    pub fn section(&self) -> &'static str {
        match self {
            Self::AssignedByProvider { .. } | Self::SameProvider { .. } => "RFC 9284 §5.4",
            Self::NoDotsServer => "RFC 9284 §4",
            Self::Independent { .. } | Self::OthersPreferred { .. } => "RFC 9284 §5.2",
            Self::GatewayDecides { .. } => "RFC 9284 §5.3",
            Self::Consented { .. } => "RFC 9284 §6",
            Self::OneIsEnough { .. } => "draft-boucadair-dots-multihoming-04 §5.2",
            Self::NotSeenThere => "draft-boucadair-dots-multihoming-04 §5.1",
            Self::TooWide(_) | Self::Unsayable => "RFC 9132 §4.4.1",
            Self::Assigned { .. }
            | Self::AssignedNone
            | Self::AssignedByNobody
            | Self::PreferredMayNot { .. }
            | Self::PartlyAssigned { .. } => "RFC 9284 §5.1",
        }
    }

    /// The target that it is asked for, if this is why a server is asked.
    pub(super) fn target(&self) -> Option<IpNet> {
        match self {
            Self::Assigned { target, .. }
            | Self::AssignedByProvider { target, .. }
            | Self::Independent { target, .. }
            | Self::GatewayDecides { target }
            | Self::Consented { target } => Some(*target),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assigned { target, prefix } if target == prefix => {
                write!(formatter, "it assigned {target}")
            }
            Self::Assigned { target, prefix } => {
                write!(formatter, "it assigned {prefix}, in which {target} lies")
            }
            Self::AssignedByProvider { target, by } => {
                write!(formatter, "its provider assigned {target}, in {by}")
            }
            Self::Independent { target, prefix } if target == prefix => {
                write!(formatter, "{target} is independent of providers")
            }
            Self::Independent { target, prefix } => write!(
                formatter,
                "{prefix}, in which {target} lies, is independent of providers"
            ),
            Self::GatewayDecides { target } => {
                write!(formatter, "its gateway knows whether it assigned {target}")
            }
            Self::Consented { target } => write!(
                formatter,
                "the policy lets servers be asked for {target}, which their network did not assign"
            ),
            Self::AssignedNone => formatter.write_str("it assigned none of the targets"),
            Self::SameProvider { asked } => {
                write!(formatter, "{asked} of the same provider is asked")
            }
            Self::OneIsEnough { asked } => write!(
                formatter,
                "the policy asks one provider for independent addresses, and that is {asked}"
            ),
            Self::NotSeenThere => formatter.write_str("the attack was not seen there"),
            Self::OthersPreferred { prefix } => {
                write!(formatter, "the policy names others for {prefix}")
            }
            Self::PreferredMayNot { prefix } => write!(
                formatter,
                "the policy names for {prefix} only networks that did not assign it"
            ),
            Self::NoDotsServer => formatter.write_str("it names no DOTS server"),
            Self::AssignedByNobody => formatter.write_str("no provider assigned it"),
            Self::PartlyAssigned { left } => {
                let left: Vec<String> = left.iter().map(ToString::to_string).collect();
                let left = left.join(", ");
                write!(formatter, "no provider assigned {left} of it")
            }
            Self::Unsayable => {
                formatter.write_str("no request has room for so many targets at once: ask for less")
            }
            Self::TooWide(error) => error.fmt(formatter),
        }
    }
}
