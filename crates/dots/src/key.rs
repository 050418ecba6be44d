//! CBOR map keys of the signal channel and which of them must be understood (RFC 9132 §6, §10.6.1).

use std::fmt;

/// A key of a CBOR map, registered or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u32);

/// Whether a message with this key is refused by whoever does not know the key (RFC 9132 §10.6.1.1).
///
/// Key 0 and numbers past the registry's end are nothing that a peer may send, so they count as
/// required: they are refused and named.
pub fn is_comprehension_required(key: Key) -> bool {
    !matches!(key.0, 128..=255 | 16384..=65535)
}

macro_rules! keys {
    ($($constant:ident = $number:literal, $name:literal;)*) => {
        impl Key {
            $(#[doc = concat!("`", $name, "`")] pub const $constant: Self = Self($number);)*

            /// The attribute's name in the YANG modules, without the module, if the key is known here.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

// RFC 9132 §6, Table 5; from ACTIVATION_TYPE on RFC 9133 §3.2.1.
keys! {
    MITIGATION_SCOPE = 1, "mitigation-scope";
    SCOPE = 2, "scope";
    CDID = 3, "cdid";
    CUID = 4, "cuid";
    MID = 5, "mid";
    TARGET_PREFIX = 6, "target-prefix";
    TARGET_PORT_RANGE = 7, "target-port-range";
    LOWER_PORT = 8, "lower-port";
    UPPER_PORT = 9, "upper-port";
    TARGET_PROTOCOL = 10, "target-protocol";
    TARGET_FQDN = 11, "target-fqdn";
    TARGET_URI = 12, "target-uri";
    ALIAS_NAME = 13, "alias-name";
    LIFETIME = 14, "lifetime";
    MITIGATION_START = 15, "mitigation-start";
    STATUS = 16, "status";
    CONFLICT_INFORMATION = 17, "conflict-information";
    CONFLICT_STATUS = 18, "conflict-status";
    CONFLICT_CAUSE = 19, "conflict-cause";
    RETRY_TIMER = 20, "retry-timer";
    CONFLICT_SCOPE = 21, "conflict-scope";
    ACL_LIST = 22, "acl-list";
    ACL_NAME = 23, "acl-name";
    ACL_TYPE = 24, "acl-type";
    BYTES_DROPPED = 25, "bytes-dropped";
    BPS_DROPPED = 26, "bps-dropped";
    PKTS_DROPPED = 27, "pkts-dropped";
    PPS_DROPPED = 28, "pps-dropped";
    ATTACK_STATUS = 29, "attack-status";
    SIGNAL_CONFIG = 30, "signal-config";
    SID = 31, "sid";
    MITIGATING_CONFIG = 32, "mitigating-config";
    HEARTBEAT_INTERVAL = 33, "heartbeat-interval";
    MAX_VALUE = 34, "max-value";
    MIN_VALUE = 35, "min-value";
    CURRENT_VALUE = 36, "current-value";
    MISSING_HB_ALLOWED = 37, "missing-hb-allowed";
    MAX_RETRANSMIT = 38, "max-retransmit";
    ACK_TIMEOUT = 39, "ack-timeout";
    ACK_RANDOM_FACTOR = 40, "ack-random-factor";
    MAX_VALUE_DECIMAL = 41, "max-value-decimal";
    MIN_VALUE_DECIMAL = 42, "min-value-decimal";
    CURRENT_VALUE_DECIMAL = 43, "current-value-decimal";
    IDLE_CONFIG = 44, "idle-config";
    TRIGGER_MITIGATION = 45, "trigger-mitigation";
    REDIRECTED_SIGNAL = 46, "redirected-signal";
    ALT_SERVER = 47, "alt-server";
    ALT_SERVER_RECORD = 48, "alt-server-record";
    HEARTBEAT = 49, "heartbeat";
    PROBING_RATE = 50, "probing-rate";
    PEER_HB_STATUS = 51, "peer-hb-status";
    ACTIVATION_TYPE = 52, "activation-type";
    FILTER_ACL_LIST = 53, "ietf-dots-signal-control:acl-list";
}

/// The name where there is one, else the number.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: S-010, both ends of every range of the registry.
    #[test]
    fn comprehension_follows_the_registry_ranges() {
        for (first, last, required) in [
            (0, 0, true),
            (1, 127, true),
            (128, 255, false),
            (256, 16383, true),
            (16384, 32767, false),
            (32768, 49151, false),
            (49152, 65535, false),
            (65536, u32::MAX, true),
        ] {
            for number in [first, last] {
                assert_eq!(
                    is_comprehension_required(Key(number)),
                    required,
                    "key {number}"
                );
            }
        }
    }
}
