//! The tunnels of the daemon: what it was told goes to the host as far as it is there; and what programs are told of one.

use std::collections::BTreeMap;
use std::path::Path;

use pvd::bindings::tunnel::Tunnel;
use pvd::host::{Host, Now, Standing};
use pvd::{InterfaceName, OwnAddress, PvdId};
use serde::{Deserialize, Serialize};

use super::api::Taken;
use crate::discovery::Attachment;
use crate::provisioning::tunnel::{Found, Told, Tunnels};

/// Those that there are.
#[derive(Debug)]
pub(super) struct HostTunnels {
    known: Tunnels,
    /// What the host knows of them.
    told: BTreeMap<(InterfaceName, PvdId), Tunnel>,
    /// Of their interfaces, where nobody else looks for these.
    addresses: BTreeMap<InterfaceName, Vec<OwnAddress>>,
}

impl HostTunnels {
    /// With those that the last daemon at this socket was told of.
    pub(super) fn load(control: &Path) -> Self {
        Self {
            known: Tunnels::load(&control.with_extension("tunnels")),
            told: BTreeMap::new(),
            addresses: BTreeMap::new(),
        }
    }

    /// Takes what somebody tells.
    ///
    /// # Errors
    /// Why it is not taken, in words.
    pub(super) fn change(&mut self, is_up: bool, told: Told) -> Result<Taken, String> {
        let pvd = told.pvd.to_string();
        let interface = match is_up {
            true => {
                let interfaces = Found::all().map_err(|error| error.to_string())?;
                let begun = self.known.begin(told, &interfaces);
                begun.map_err(|error| error.to_string())?
            }
            false => {
                self.known.end(&told).map_err(|error| error.to_string())?;
                None
            }
        };
        tracing::info!(%pvd, is_up, interface = interface.as_ref().map(InterfaceName::as_str), "told of a tunnel");
        let interface = interface.map(|it| it.to_string());
        Ok(Taken { pvd, interface })
    }

    /// Tells the host what is there, and what is there no more. The addresses of these interfaces, too, if `is_watched` does not say that
    /// they are told anyway.
    pub(super) fn look(
        &mut self,
        host: &mut Host,
        is_watched: impl Fn(&InterfaceName) -> bool,
        now: Now,
    ) {
        if self.known.is_empty() && self.told.is_empty() {
            return;
        }
        let interfaces = match Found::all() {
            Ok(interfaces) => interfaces,
            Err(error) => {
                tracing::warn!(%error, "the interfaces of tunnels are not known");
                return;
            }
        };
        for pvd in self.known.look(&interfaces) {
            tracing::info!(%pvd, "the interface of a tunnel, or its address, is gone");
        }
        let placed = self.known.placed();
        for (interface, pvd) in self.told.keys().filter(|key| !placed.contains_key(*key)) {
            host.handle_tunnel_end(interface, pvd, now);
        }
        for (key, tunnel) in &placed {
            if self.told.get(key) != Some(tunnel) {
                host.handle_tunnel(&key.0, tunnel.clone(), now);
            }
        }
        self.told = placed;
        let there: Vec<_> = self.told.keys().map(|(interface, _)| interface).collect();
        self.addresses
            .retain(|interface, _| there.contains(&interface));
        for interface in there.into_iter().filter(|it| !is_watched(it)) {
            let found = Attachment::of(interface).ok().flatten();
            let addresses = found.map_or_else(Vec::new, |found| found.addresses);
            if self.addresses.get(interface) != Some(&addresses) {
                self.addresses.insert(interface.clone(), addresses.clone());
                host.handle_addresses(interface, addresses, now);
            }
        }
    }
}

/// A tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TunnelView {
    /// Where it leads.
    pub(crate) gateways: Vec<String>,
    /// What is reached through it.
    pub(crate) reaches: Vec<String>,
    /// The PvDs that carry it, each with its interface.
    pub(crate) carried_by: Vec<String>,
    /// Those whose object describes it.
    pub(crate) described_by: Vec<String>,
    /// Nothing of it is used.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) refused: bool,
    /// How it stands, in words.
    pub(crate) state: String,
}

impl TunnelView {
    pub(super) fn of((tunnel, standing): &(Tunnel, Standing)) -> Self {
        fn texts(all: &[impl ToString]) -> Vec<String> {
            all.iter().map(ToString::to_string).collect()
        }
        let ends = tunnel.facts().ends.iter();
        Self {
            gateways: ends.map(|ends| ends.gateway.to_string()).collect(),
            reaches: match standing.refusal {
                None => texts(&standing.reaches),
                Some(_) => Vec::new(),
            },
            carried_by: texts(&standing.carried_by),
            described_by: texts(&standing.described_by),
            refused: standing.refusal.is_some(),
            state: standing.to_string(),
        }
    }
}
