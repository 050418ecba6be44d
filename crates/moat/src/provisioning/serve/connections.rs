//! The connections that are open, so many and no more. One more takes the place of the oldest: an honest client is done in a
//! moment, and whoever only holds on is the oldest soon.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use tokio::task::AbortHandle;

use crate::config::PvdServerLimits;

/// Number of a connection, in the order in which they came.
pub(super) type Number = u64;

/// What is open.
#[derive(Debug)]
pub(super) struct Connections {
    limits: PvdServerLimits,
    next: Number,
    open: BTreeMap<Number, Open>,
    of_source: BTreeMap<IpAddr, BTreeSet<Number>>,
}

#[derive(Debug)]
struct Open {
    source: IpAddr,
    task: AbortHandle,
}

impl Connections {
    /// None yet.
    pub(super) fn new(limits: PvdServerLimits) -> Self {
        Self {
            limits,
            next: 0,
            open: BTreeMap::new(),
            of_source: BTreeMap::new(),
        }
    }

    /// Takes one in, for which there is a task then, and says which one is to end for it.
    pub(super) fn admit(
        &mut self,
        from: IpAddr,
        start: impl FnOnce(Number) -> AbortHandle,
    ) -> Option<AbortHandle> {
        let source = source(from);
        let of_source = self.of_source.get(&source);
        let oldest = match of_source {
            Some(own) if own.len() >= self.limits.connections_per_source => own.first().copied(),
            _ if self.open.len() >= self.limits.connections => {
                self.open.first_key_value().map(|(number, _)| *number)
            }
            _ => None,
        };
        let displaced = oldest.and_then(|number| self.remove(number));
        let number = self.next;
        self.next += 1;
        let task = start(number);
        self.open.insert(number, Open { source, task });
        self.of_source.entry(source).or_default().insert(number);
        displaced.map(|open| open.task)
    }

    /// It has ended.
    pub(super) fn release(&mut self, number: Number) {
        let _ended = self.remove(number);
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    fn remove(&mut self, number: Number) -> Option<Open> {
        let open = self.open.remove(&number)?;
        if let Some(own) = self.of_source.get_mut(&open.source) {
            own.remove(&number);
            if own.is_empty() {
                self.of_source.remove(&open.source);
            }
        }
        Some(open)
    }
}

/// What may be one host: an IPv4 address, or an IPv6 prefix of 64 bits.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tasks {
        runtime: tokio::runtime::Runtime,
        connections: Connections,
    }

    impl Tasks {
        fn new(connections: usize, connections_per_source: usize) -> Self {
            let limits = PvdServerLimits {
                connections,
                connections_per_source,
                ..PvdServerLimits::default()
            };
            let runtime = tokio::runtime::Builder::new_current_thread();
            Self {
                runtime: { runtime }.build().unwrap(),
                connections: Connections::new(limits),
            }
        }

        /// Whether another one had to go.
        fn admit(&mut self, from: &str) -> bool {
            let from = from.parse().unwrap();
            let runtime = &self.runtime;
            let start = |_| runtime.spawn(std::future::pending::<()>()).abort_handle();
            self.connections.admit(from, start).is_some()
        }

        fn open(&self) -> Vec<Number> {
            self.connections.open.keys().copied().collect()
        }
    }

    ///
    #[test]
    fn whoever_opens_many_displaces_his_own_oldest_first() {
        let mut tasks = Tasks::new(10, 2);
        assert!(!tasks.admit("192.0.2.1"));
        assert!(!tasks.admit("2001:db8::1"));
        assert!(!tasks.admit("2001:db8::2"));
        assert!(tasks.admit("2001:db8::ffff:3"), "of the same 64 bits");
        assert_eq!(tasks.open(), [0, 2, 3]);
        assert!(!tasks.admit("2001:db8:0:1::1"));
        assert!(!tasks.admit("::ffff:192.0.2.1"));
        assert!(tasks.admit("192.0.2.1"), "the same address");
        assert_eq!(tasks.open(), [2, 3, 4, 5, 6]);
    }

    ///
    #[test]
    fn when_there_is_no_room_the_oldest_of_all_goes() {
        let mut tasks = Tasks::new(3, 3);
        let displaced: Vec<bool> = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
            .into_iter()
            .map(|from| tasks.admit(from))
            .collect();
        assert_eq!(displaced, [false, false, false, true]);
        assert_eq!(tasks.open(), [1, 2, 3]);
        for number in 0..4 {
            tasks.connections.release(number);
        }
        assert_eq!(tasks.connections.len(), 0);
        assert!(tasks.connections.of_source.is_empty());
    }
}
