//! Codes of the IANA registries of RFC 9132 §10.6.2 to §10.6.5.

use std::fmt;

use serde::{Serialize, Serializer};

/// A code that is in no registry known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnknownCode(u32);

macro_rules! registry {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal, $label:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
            /// A code that was registered later, or never.
            Unknown(UnknownCode),
        }

        impl $name {
            /// The meaning of a code on the wire.
            pub fn from_code(code: u32) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    code => Self::Unknown(UnknownCode(code)),
                }
            }

            /// The code on the wire.
            pub fn code(self) -> u32 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unknown(UnknownCode(code)) => code,
                }
            }
        }

        /// The label in the registry, or the number of an unknown code.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($label),)*
                    Self::Unknown(UnknownCode(code)) => code.fmt(f),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

registry! {
    /// How a mitigation goes (RFC 9132 §4.4.2, Table 3).
    Status {
        /// It is being set up.
        AttackMitigationInProgress = 1, "attack-mitigation-in-progress";
        /// Attack traffic is being dropped.
        AttackSuccessfullyMitigated = 2, "attack-successfully-mitigated";
        /// The attack is over: the client can withdraw the request.
        AttackStopped = 3, "attack-stopped";
        /// The attack is more than the provider can take.
        AttackExceededCapability = 4, "attack-exceeded-capability";
        /// Withdrawn by the client: active but terminating.
        DotsClientWithdrawnMitigation = 5, "dots-client-withdrawn-mitigation";
        /// Over.
        AttackMitigationTerminated = 6, "attack-mitigation-terminated";
        /// Withdrawn by the server.
        AttackMitigationWithdrawn = 7, "attack-mitigation-withdrawn";
        /// Waits for the loss of the signal channel session.
        AttackMitigationSignalLoss = 8, "attack-mitigation-signal-loss";
    }
}

registry! {
    /// Which of the conflicting requests is in force (RFC 9132 §4.4.1.3).
    ConflictStatus {
        /// This one is not, another one is.
        RequestInactiveOtherActive = 1, "request-inactive-other-active";
        /// This one is.
        RequestActive = 2, "request-active";
        /// None is.
        AllRequestsInactive = 3, "all-requests-inactive";
    }
}

registry! {
    /// Why requests conflict (RFC 9132 §4.4.1.3; 4 from RFC 9066 §7.2, 5 from RFC 9244 §13.2).
    ConflictCause {
        /// They name a common target.
        OverlappingTargets = 1, "overlapping-targets";
        /// The attack comes from sources that an accept-list lets through.
        ConflictWithAcceptlist = 2, "conflict-with-acceptlist";
        /// The cuid belongs to another client.
        CuidCollision = 3, "cuid-collision";
        /// The traffic is legitimate.
        RequestRejectedLegitimateTraffic = 4, "request-rejected-legitimate-traffic";
        /// Pipe capacities that overlap.
        OverlappingPipes = 5, "overlapping-pipes";
    }
}

/// How the client sees the attack (RFC 9132 §4.4.3, Table 4).
///
/// It travels in requests only, and a request with an unknown code is refused, so there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttackStatus {
    /// It goes on.
    UnderAttack,
    /// It is not seen any more.
    AttackSuccessfullyMitigated,
}

impl AttackStatus {
    /// The meaning of a code on the wire.
    pub fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::UnderAttack),
            2 => Some(Self::AttackSuccessfullyMitigated),
            _ => None,
        }
    }

    /// The code on the wire.
    pub fn code(self) -> u32 {
        match self {
            Self::UnderAttack => 1,
            Self::AttackSuccessfullyMitigated => 2,
        }
    }
}
