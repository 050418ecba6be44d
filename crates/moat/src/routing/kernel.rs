//! What the kernel has, and how it gets what it should have (rtnetlink(7)).

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use futures_util::{Stream, TryStreamExt, pin_mut};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::{Handle, IpVersion, MulticastGroup, new_connection};
use tokio::task::JoinHandle;

use super::message::{self, Route};
use super::plan::{Defaults, Family, Hop, Kind, Lookup, Plan, RouteKey, Rule, Uplink, Way};
use crate::netlink::Changes;

/// What is told where the kernel has no IPv6.
const NO_FAMILY: [i32; 2] = [libc::EAFNOSUPPORT, libc::EOPNOTSUPP];

/// A connection to the kernel, and word of its changes.
pub(super) struct Kernel {
    handle: Handle,
    reader: JoinHandle<()>,
    changes: Changes,
}

/// What came of an attempt to bring the kernel to a plan.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Whether there was anything to do.
    pub(super) is_changed: bool,
    /// Routes that the kernel does not take, as by a router that no address of ours is in a network with now.
    pub(super) refused: Vec<(RouteKey, rtnetlink::Error)>,
}

/// What is in the kernel.
#[derive(Debug, Default)]
pub(super) struct Found {
    rules: Vec<(Option<Rule>, RuleMessage)>,
    routes: Vec<(Option<Way>, RouteMessage)>,
    pub(super) defaults: Defaults,
}

impl Outcome {
    /// What the kernel says of the route by a router of this table, if it does not take it.
    pub(super) fn refusal(&self, table: (Family, u32)) -> Option<&rtnetlink::Error> {
        let mut refused = self.refused.iter();
        let refused = refused.find(|(key, _)| (key.family, key.table) == table);
        refused.map(|(_, error)| error)
    }
}

impl Found {
    fn add_default(
        &mut self,
        metrics: &mut BTreeMap<(Family, u32), u32>,
        (family, hops, metric): (Family, Vec<Hop>, u32),
    ) {
        for hop in hops {
            let key = (family, hop.interface);
            if metrics.get(&key).is_none_or(|best| metric < *best) {
                metrics.insert(key, metric);
                self.defaults.insert(key, hop);
            }
        }
    }

    /// The tables of those for whose addresses moat had rules, in whatever table they were looked up.
    pub(super) fn led(&self, uplinks: &[Uplink]) -> BTreeSet<(Family, u32)> {
        let rules = self.rules.iter().filter_map(|(rule, _)| *rule);
        let led = rules.filter_map(|rule| match rule.lookup {
            Lookup::MainButDefault | Lookup::Begun(_) => None,
            Lookup::From(source, _) => {
                let owner = uplinks.iter().find(|uplink| uplink.has(source))?;
                Some((rule.family, owner.table))
            }
        });
        led.collect()
    }

    fn keys(&self) -> impl Iterator<Item = RouteKey> {
        let ours = self.routes.iter().filter_map(|(way, _)| *way);
        ours.map(|(key, _)| key)
    }
}

impl Kernel {
    /// Connects, and tells of changes from then on.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn connect() -> io::Result<Self> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
            MulticastGroup::Ipv4Rule,
            MulticastGroup::Ipv6Rule,
        ];
        let changes = Changes::of(&groups)?;
        let (connection, handle, _) = new_connection()?;
        Ok(Self {
            handle,
            reader: tokio::spawn(connection),
            changes,
        })
    }

    /// Waits until something may be different. `None`: the connection is over.
    pub(super) async fn changed(&mut self) -> Option<()> {
        self.changes.next().await
    }

    /// Looks at all rules, and at all default routes.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) async fn look(&self) -> Result<Found, rtnetlink::Error> {
        let mut found = Found::default();
        let mut metrics = BTreeMap::new();
        for version in [IpVersion::V4, IpVersion::V6] {
            let rules = self.handle.rule().get(version.clone()).execute();
            each(rules, |message| {
                if let Some(rule) = message::rule(&message) {
                    found.rules.push((rule, message));
                }
            })
            .await?;
            let mut asked = RouteMessage::default();
            asked.header.address_family = message::of_version(&version);
            let routes = self.handle.route().get(asked).execute();
            each(routes, |message| match message::route(&message) {
                Some(Route::Ours(route)) => found.routes.push((route, message)),
                Some(Route::Default(family, hops, metric)) => {
                    found.add_default(&mut metrics, (family, hops, metric));
                }
                None => {}
            })
            .await?;
        }
        Ok(found)
    }

    /// Makes what is missing, and removes what moat has made and is not wanted. A table that is none of those `led` before gets
    /// nothing while the kernel does not take its route by a router.
    ///
    /// # Errors
    /// What the kernel says of anything but a route by a router. What was done before stays.
    pub(super) async fn bring_to(
        &self,
        plan: &Plan,
        led: &BTreeSet<(Family, u32)>,
        found: Found,
    ) -> Result<Outcome, rtnetlink::Error> {
        let mut outcome = Outcome::default();
        let (mut routes, mut rules) = (plan.routes.clone(), plan.rules.clone());
        let mut unwanted = Vec::new();
        let ours: BTreeSet<RouteKey> = found.keys().collect();
        for (route, message) in found.routes {
            match route.and_then(|(key, hop)| Some((key, hop, *plan.routes.get(&key)?))) {
                Some((key, hop, wanted)) if hop == wanted => drop(routes.remove(&key)),
                // The new one takes its place.
                Some(_) => {}
                None => unwanted.push(message),
            }
        }
        let mut obsolete = Vec::new();
        for (rule, message) in found.rules {
            // A second one of the same kind is none.
            if !rule.is_some_and(|rule| rules.remove(&rule)) {
                obsolete.push(message);
            }
        }
        let mut barred = BTreeSet::new();
        // No rule ever leads to a table without routes, and what is near is never looked up in one.
        for (key, hop) in &routes {
            let table = (key.family, key.table);
            // The route by a router comes first.
            if barred.contains(&table) {
                continue;
            }
            let message = message::of_route(key, hop.as_ref());
            let added = self.handle.route().add(message);
            // What somebody else has in a table stays.
            let added = match ours.contains(key) {
                true => added.replace(),
                false => added,
            };
            match added.execute().await {
                Ok(()) => outcome.is_changed = true,
                Err(error) if key.kind == Kind::ByRouter => {
                    outcome.refused.push((*key, error));
                    barred.extend((!led.contains(&table)).then_some(table));
                }
                Err(error) => return Err(error),
            }
        }
        let is_barred = |rule: &Rule| match rule.lookup {
            Lookup::MainButDefault => false,
            Lookup::From(_, table) | Lookup::Begun(table) => barred.contains(&(rule.family, table)),
        };
        for rule in rules.iter().filter(|rule| !is_barred(rule)) {
            let mut added = self.handle.rule().add();
            *added.message_mut() = message::of_rule(rule);
            added.execute().await?;
            outcome.is_changed = true;
        }
        for message in obsolete.into_iter().rev() {
            unless_gone(self.handle.rule().del(message).execute().await)?;
            outcome.is_changed = true;
        }
        for message in unwanted {
            unless_gone(self.handle.route().del(message).execute().await)?;
            outcome.is_changed = true;
        }
        Ok(outcome)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Takes one message after the other; there may be a million routes.
async fn each<T>(
    stream: impl Stream<Item = Result<T, rtnetlink::Error>>,
    mut take: impl FnMut(T),
) -> Result<(), rtnetlink::Error> {
    pin_mut!(stream);
    loop {
        match stream.try_next().await {
            Ok(Some(message)) => take(message),
            Ok(None) => return Ok(()),
            Err(error) if code(&error).is_some_and(|code| NO_FAMILY.contains(&code)) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}

/// What somebody else has removed meanwhile needs no removal.
fn unless_gone(result: Result<(), rtnetlink::Error>) -> Result<(), rtnetlink::Error> {
    match result {
        Err(error) if matches!(code(&error), Some(libc::ESRCH | libc::ENOENT)) => Ok(()),
        other => other,
    }
}

/// The error number of the kernel.
pub(super) fn code(error: &rtnetlink::Error) -> Option<i32> {
    match error {
        rtnetlink::Error::NetlinkError(message) => Some(message.raw_code().wrapping_neg()),
        _ => None,
    }
}
