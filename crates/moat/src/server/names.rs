//! Looks up the names of customers beside everything else (RFC 9132 §4.4.1.1).
//!
//! ```text
//! authority --Lookup--> waiting --place--> under way --Input::Resolved--> authority
//! ```
//!
//! A customer whose names take long waits for himself: each has a place that is his own, and the places that all
//! share go to who has the fewest.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use agent::server::{Input, Resolution, ResolutionError};
use dots::target::DomainName;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::inputs::Inputs;
use super::message::ToAuthority;
use crate::resolver::{Failure, Resolver};

/// Names that are looked up at a time beside the first one of each customer; each takes a few sockets.
const SHARED_PLACES: usize = 64;

/// A name that a customer needs the addresses of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lookup {
    pub(super) name: DomainName,
    pub(super) customer: String,
}

/// The names of one customer; how many there may be is for the authority to say.
#[derive(Debug, Default)]
struct Names {
    under_way: usize,
    waiting: VecDeque<DomainName>,
}

/// Who is looked up for next.
#[derive(Debug, Default)]
struct Places(BTreeMap<String, Names>);

impl Places {
    fn ask(&mut self, lookup: Lookup) {
        let names = self.0.entry(lookup.customer).or_default();
        names.waiting.push_back(lookup.name);
    }

    /// What there is a place for.
    fn take(&mut self) -> Option<Lookup> {
        let shared = self
            .0
            .values()
            .map(|names| names.under_way.saturating_sub(1));
        let is_full = shared.sum::<usize>() >= SHARED_PLACES;
        let waiting = self
            .0
            .iter_mut()
            .filter(|(_, names)| !names.waiting.is_empty());
        let (customer, names) = waiting.min_by_key(|(_, names)| names.under_way)?;
        if is_full && names.under_way > 0 {
            return None;
        }
        let name = names.waiting.pop_front()?;
        names.under_way += 1;
        let customer = customer.clone();
        Some(Lookup { name, customer })
    }

    fn free(&mut self, customer: &str) {
        if let Some(names) = self.0.get_mut(customer) {
            names.under_way = names.under_way.saturating_sub(1);
            if names.under_way == 0 && names.waiting.is_empty() {
                self.0.remove(customer);
            }
        }
    }
}

type Found = Result<Resolution, ResolutionError>;

/// A lookup under way. However it ends, its place is freed and the authority is told.
struct UnderWay {
    lookup: Lookup,
    found: Found,
    over: UnboundedSender<(Lookup, Found)>,
}

impl UnderWay {
    fn end(mut self, found: Found) {
        self.found = found;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let nothing = Err(ResolutionError::NoAddress);
        let found = std::mem::replace(&mut self.found, nothing);
        // Once the server stops nobody listens.
        drop(self.over.send((self.lookup.clone(), found)));
    }
}

/// Looks up each name that the authority wants, each for no longer than `patience`.
pub(super) async fn look_up(
    (resolver, patience): (Option<Resolver>, Duration),
    mut wanted: UnboundedReceiver<Lookup>,
    inputs: Inputs,
) {
    let mut places = Places::default();
    let (over, mut ended) = unbounded_channel();
    loop {
        while let Some(lookup) = places.take() {
            let under_way = UnderWay {
                lookup,
                found: Err(ResolutionError::Unavailable("it broke off".to_owned())),
                over: over.clone(),
            };
            let resolver = resolver.clone();
            tokio::spawn(async move {
                let looking = resolve(resolver.as_ref(), &under_way.lookup.name);
                let found = tokio::time::timeout(patience, looking).await;
                under_way.end(found.unwrap_or_else(|_| {
                    let late = "no name server answered in time".to_owned();
                    Err(ResolutionError::Unavailable(late))
                }));
            });
        }
        tokio::select! {
            lookup = wanted.recv() => match lookup {
                Some(lookup) => places.ask(lookup),
                None => return,
            },
            Some((lookup, found)) = ended.recv() => {
                places.free(&lookup.customer);
                inputs.send(ToAuthority::Input(Input::Resolved(lookup.name, found)));
            }
        }
    }
}

async fn resolve(resolver: Option<&Resolver>, name: &DomainName) -> Found {
    let resolver = resolver.ok_or(ResolutionError::NoResolver)?;
    let found = resolver.resolve(name.as_str()).await;
    let found = found.map_err(|failure| match failure {
        Failure::NoAddress => ResolutionError::NoAddress,
        Failure::Unavailable(reason) => ResolutionError::Unavailable(reason),
    })?;
    Ok(Resolution {
        addresses: found.addresses,
        ttl: u32::try_from(found.ttl.as_secs()).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::inputs::queue;
    use super::*;
    use crate::resolver::{Assurance, Link};

    fn lookup(customer: &str, number: usize) -> Lookup {
        Lookup {
            name: format!("n{number}.{customer}.example").parse().unwrap(),
            customer: customer.to_owned(),
        }
    }

    /// Covers: X-013
    #[test]
    fn whoever_fills_the_places_leaves_one_to_each_other_customer() {
        let mut places = Places::default();
        for customer in ["a", "b", "c", "d", "e"] {
            (0..16).for_each(|number| places.ask(lookup(customer, number)));
        }
        let under_way: Vec<Lookup> = std::iter::from_fn(|| places.take()).collect();
        assert_eq!(under_way.len(), 5 + SHARED_PLACES);
        let of = |customer: &str| {
            under_way
                .iter()
                .filter(|it| it.customer == customer)
                .count()
        };
        assert!((13..=14).contains(&of("a")) && (13..=14).contains(&of("e")));
        places.ask(lookup("zoe", 1));
        places.ask(lookup("zoe", 2));
        assert_eq!(places.take(), Some(lookup("zoe", 1)));
        assert_eq!(places.take(), None);
        // Who has the fewest has the next place.
        places.free("a");
        assert_eq!(places.take(), Some(lookup("zoe", 2)));
        assert_eq!(places.take(), None);
        // In turn, one that is done makes room for the next of its own.
        places.ask(lookup("zoe", 3));
        places.free("zoe");
        places.free("zoe");
        assert_eq!(places.take(), Some(lookup("zoe", 3)));
    }

    /// Covers: X-013. Each gets its answer, also when no name server gives one.
    #[test]
    fn names_that_nobody_answers_for_are_answered_for_in_time() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let servers = [silent.local_addr().unwrap()];
            let resolver = Resolver::new(&servers, &Assurance::default(), Link::default()).unwrap();
            let (inputs, waiting) = queue();
            let (names, wanted) = unbounded_channel();
            let all: BTreeSet<DomainName> = (0..SHARED_PLACES + 6)
                .map(|number| {
                    let lookup = lookup("slow", number);
                    names.send(lookup.clone()).unwrap();
                    lookup.name
                })
                .collect();
            let patience = Duration::from_millis(20);
            let looking_up = look_up((Some(resolver), patience), wanted, inputs);
            let mut answered = BTreeSet::new();
            let counting = async {
                while answered.len() < all.len() {
                    tokio::time::sleep(patience).await;
                    while let Some(message) = waiting.take() {
                        let ToAuthority::Input(Input::Resolved(name, Err(error))) = message else {
                            panic!("{message:?}");
                        };
                        assert!(error.to_string().contains("in time"), "{error}");
                        assert!(answered.insert(name));
                    }
                }
            };
            tokio::select! {
                () = looking_up => panic!("it has ended"),
                () = counting => {}
            }
            assert_eq!(answered, all);
        });
    }
}
