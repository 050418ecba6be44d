//! The numbers of requests at one server (RFC 9132 §4.4.1.1).

use dots::identifiers::Mid;

use crate::time::Now;

/// Mids are made durable in blocks of this size, so that no request waits for the disk.
const BLOCK: u32 = 64;

/// The first mid at a server that nothing is known of. The server may remember an earlier life of this
/// client, whose mids were lower than the seconds since 1970 unless it asked more than once a second.
pub(super) fn first(now: Now) -> Mid {
    let unix = u32::try_from(now.unix).unwrap_or(u32::MAX);
    Mid(unix % Mid::ROLLOVER.0)
}

/// Gives out mids: strictly increasing, also over restarts.
#[derive(Debug)]
pub(super) struct Mids {
    next: u32,
    /// No mid from here on was ever used.
    reserved: Mid,
    is_reserved_anew: bool,
}

impl Mids {
    /// No mid from `reserved` on was ever used.
    pub(super) fn new(reserved: Mid) -> Self {
        Self {
            next: reserved.0,
            reserved,
            is_reserved_anew: false,
        }
    }

    /// The mid that is taken next.
    pub(super) fn next(&self) -> Mid {
        Mid(self.next)
    }

    pub(super) fn take(&mut self) -> Mid {
        let mid = Mid(self.next);
        self.next = self.next.saturating_add(1);
        self.reserve();
        mid
    }

    /// Stays above a mid that is in use.
    pub(super) fn keep_above(&mut self, mid: Mid) {
        self.next = self.next.max(mid.0.saturating_add(1));
        self.reserve();
    }

    /// Whether so many are used up that they start again at 0 in peace.
    pub(super) fn are_worn(&self) -> bool {
        self.next >= Mid::ROLLOVER.0
    }

    pub(super) fn start_again(&mut self) {
        (self.next, self.reserved) = (0, Mid(0));
        self.reserve();
    }

    pub(super) fn reserved(&self) -> Mid {
        self.reserved
    }

    /// Whether the reserve has changed since this was asked, and is to be made durable.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.is_reserved_anew)
    }

    fn reserve(&mut self) {
        if self.next.saturating_add(BLOCK / 2) > self.reserved.0 {
            self.reserved = Mid(self.next.saturating_add(BLOCK));
            self.is_reserved_anew = true;
        }
    }
}
