use std::time::{Duration, Instant};

/// After this long without a notification, any notification is fresh (RFC 7641 §3.4).
const ORDER_EXPIRES: Duration = Duration::from_secs(128);

/// Half the space of Observe values.
const HALF: u32 = 1 << 23;

/// What a request asks of the list of observers (RFC 7641 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    None,
    Register,
    Deregister,
}

impl Interest {
    pub(crate) fn of(observe: Option<u32>) -> Self {
        match observe {
            Some(0) => Self::Register,
            Some(1) => Self::Deregister,
            _ => Self::None,
        }
    }
}

/// The freshest notification so far (RFC 7641 §3.4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshest {
    pub(crate) value: u32,
    pub(crate) at: Instant,
}

impl Freshest {
    /// Whether a notification with `value`, arriving at `now`, was sent after this one.
    pub(crate) fn is_older_than(&self, value: u32, now: Instant) -> bool {
        (self.value < value && value - self.value < HALF)
            || (self.value > value && self.value - value > HALF)
            || now > self.at + ORDER_EXPIRES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7641 §3.4.
    #[test]
    fn order_is_that_of_24_bit_serial_numbers() {
        #[expect(
            clippy::disallowed_methods,
            reason = "any moment will do as the origin of a virtual clock"
        )]
        let at = Instant::now();
        let soon = at + ORDER_EXPIRES;
        let freshest = |value| Freshest { value, at };
        assert!(freshest(5).is_older_than(6, soon));
        assert!(!freshest(5).is_older_than(5, soon));
        assert!(!freshest(6).is_older_than(5, soon));
        assert!(freshest(0xff_ffff).is_older_than(0, soon));
        assert!(!freshest(0).is_older_than(0xff_ffff, soon));
        assert!(freshest(6).is_older_than(5, soon + Duration::from_millis(1)));
    }
}
