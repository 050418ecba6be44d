//! What the kernel has, and how it gets what it should have (rtnetlink(7)).

use std::collections::BTreeMap;
use std::io;

use futures_util::{Stream, TryStreamExt, pin_mut};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::{Handle, IpVersion, MulticastGroup};

use super::message::{self, Route};
use super::plan::{Defaults, Plan, Rule, Way};
use crate::netlink::Changes;

/// What is told where the kernel has no IPv6.
const NO_FAMILY: [i32; 2] = [libc::EAFNOSUPPORT, libc::EOPNOTSUPP];

/// A connection to the kernel.
pub(super) struct Kernel {
    handle: Handle,
    changes: Changes,
}

/// What is in the kernel.
#[derive(Debug, Default)]
pub(super) struct Found {
    rules: Vec<(Option<Rule>, RuleMessage)>,
    routes: Vec<(Option<Way>, RouteMessage)>,
    pub(super) defaults: Defaults,
}

impl Kernel {
    /// Connects, and tells of changes from then on.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn connect() -> io::Result<Self> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
            MulticastGroup::Ipv4Rule,
            MulticastGroup::Ipv6Rule,
        ];
        let (changes, handle) = Changes::of(&groups)?;
        Ok(Self { handle, changes })
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
            for message in all(rules).await? {
                if let Some(rule) = message::rule(&message) {
                    found.rules.push((rule, message));
                }
            }
            let mut asked = RouteMessage::default();
            asked.header.address_family = message::of_version(&version);
            for message in all(self.handle.route().get(asked).execute()).await? {
                match message::route(&message) {
                    Some(Route::Ours(route)) => found.routes.push((route, message)),
                    Some(Route::Default(family, hops, metric)) => {
                        for hop in hops {
                            let key = (family, hop.interface);
                            if metrics.get(&key).is_none_or(|best| metric < *best) {
                                metrics.insert(key, metric);
                                found.defaults.insert(key, hop);
                            }
                        }
                    }
                    None => {}
                }
            }
        }
        Ok(found)
    }

    /// Makes what is missing, and removes what moat has made and is not wanted. Returns whether there was anything to do.
    ///
    /// # Errors
    /// What the kernel says. What was done before stays.
    pub(super) async fn bring_to(
        &self,
        plan: &Plan,
        found: Found,
    ) -> Result<bool, rtnetlink::Error> {
        let mut is_changed = false;
        let (mut routes, mut rules) = (plan.routes.clone(), plan.rules.clone());
        let mut unwanted = Vec::new();
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
        // No rule ever leads to a table without routes.
        for (key, hop) in &routes {
            let message = message::of_route(key, hop.as_ref());
            let added = self.handle.route().add(message).replace();
            added.execute().await?;
            is_changed = true;
        }
        for rule in &rules {
            let mut added = self.handle.rule().add();
            *added.message_mut() = message::of_rule(rule);
            added.execute().await?;
            is_changed = true;
        }
        for message in obsolete {
            unless_gone(self.handle.rule().del(message).execute().await)?;
            is_changed = true;
        }
        for message in unwanted {
            unless_gone(self.handle.route().del(message).execute().await)?;
            is_changed = true;
        }
        Ok(is_changed)
    }
}

async fn all<T>(
    stream: impl Stream<Item = Result<T, rtnetlink::Error>>,
) -> Result<Vec<T>, rtnetlink::Error> {
    pin_mut!(stream);
    match stream.try_collect().await {
        Err(error) if code(&error).is_some_and(|code| NO_FAMILY.contains(&code)) => Ok(Vec::new()),
        other => other,
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
