//! What a host knows: `moat pvd watch`, and the kernel.

use std::path::PathBuf;

use serde::Deserialize;

use super::network::{HOME, UPLINKS, Uplink};
use super::stage::Stage;
use crate::lab::error::Error;
use crate::lab::process;
use crate::provisioning::watch::{self, DomainView};

#[derive(Deserialize)]
struct Interface {
    #[serde(default)]
    addr_info: Vec<Address>,
}

/// `ip` shows one without anything for each that was not asked for.
#[derive(Deserialize)]
struct Address {
    local: Option<String>,
}

#[derive(Deserialize)]
struct Route {
    dst: String,
    #[serde(default)]
    dev: String,
}

impl Stage {
    /// Starts `moat pvd watch` on [`HOME`], on both of its links, which are cables; the authorities of all networks are trusted.
    pub(super) fn watch(&mut self, more: &[&str]) -> Result<(), Error> {
        let authorities = self.write("authorities.pem", &self.authorities)?;
        let mut command = self.moat(&["pvd", "watch"]);
        for uplink in UPLINKS {
            command.arg("--interface");
            command.arg(format!("{}=wired", uplink.interface));
        }
        command.arg("--authorities").arg(authorities);
        command.arg("--control").arg(self.control()).args(more);
        self.start(HOME, "watch", &mut command)?;
        self.wait_for_log(HOME, "watch", "watches")
    }

    /// The socket of `moat pvd watch`.
    pub(super) fn control(&self) -> PathBuf {
        self.file("pvd.sock")
    }

    /// What programs on [`HOME`] are told.
    pub(super) fn pvds(&self) -> Result<Vec<DomainView>, Error> {
        let told = watch::list(&self.control());
        told.map_err(|error| Error::io("ask moat pvd watch")(std::io::Error::other(error)))
    }

    /// The explicit PvD of an uplink, as programs on [`HOME`] are told of it.
    pub(super) fn pvd(&self, uplink: &Uplink) -> Result<Option<DomainView>, Error> {
        let mut pvds = self.pvds()?.into_iter();
        Ok(pvds
            .find(|it| it.pvd.as_deref() == Some(uplink.pvd) && it.interface == uplink.interface))
    }

    /// The addresses that the kernel of a host has at an uplink, without those of the link alone.
    pub(super) fn kernel_addresses(
        &self,
        host: &str,
        uplink: &Uplink,
    ) -> Result<Vec<String>, Error> {
        let words = [
            "-6",
            "-json",
            "addr",
            "show",
            "scope",
            "global",
            "dev",
            uplink.interface,
        ];
        let listing = self.network.node(host)?.output_of("ip", &words, "")?;
        let interfaces: Vec<Interface> = process::parse("ip addr show", &listing)?;
        let addresses = interfaces.into_iter().flat_map(|one| one.addr_info);
        Ok(addresses.filter_map(|address| address.local).collect())
    }

    /// The routes that the kernel of a host has, each with its interface, without those of the link alone.
    pub(super) fn kernel_routes(&self, host: &str) -> Result<Vec<String>, Error> {
        let words = ["-6", "-json", "route", "show"];
        let listing = self.network.node(host)?.output_of("ip", &words, "")?;
        let routes: Vec<Route> = process::parse("ip route show", &listing)?;
        let routes = routes
            .iter()
            .filter(|route| !route.dst.starts_with("fe80:"));
        let mut routes: Vec<_> = routes
            .map(|route| format!("{} dev {}", route.dst, route.dev))
            .collect();
        routes.sort_unstable();
        Ok(routes)
    }
}
