//! A tunnel to an office through one of two uplinks, made by strongSwan: a PvD of its own, which the uplink describes.
//!
//! ```text
//!                  .-- broadband --.
//!  office -- internet              +-- home
//!     |            '-- mobile    --' |
//!     '========= ESP in UDP =========' ipsec0
//! ```

use std::fs::File;
use std::net::IpAddr;
use std::process::Command;

use serde_json::{Value, json};

use super::Scenario;
use super::network::{BROADBAND, HOME, HOME_NUMBER, MOBILE, UPLINKS, Uplink};
use super::routers::{Form, object};
use super::stage::{LIMIT, Stage};
use crate::lab::error::Error;
use crate::lab::inside::this_program;
use crate::lab::plan::{INTERNET, Net, Version};
use crate::lab::process;
use crate::lab::topology::Topology;
use crate::provisioning::watch::DomainView;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pvd-vpn",
    figure: "RFC 8801 §3.4.4",
    summary: "a tunnel of strongSwan is a PvD with resolvers and addresses of its own, used as far as it is what the uplink says of it",
    programs: &[
        ("named", "bind9"),
        (
            "charon-systemd",
            "charon-systemd libcharon-extra-plugins strongswan-swanctl",
        ),
        ("swanctl", "strongswan-swanctl"),
    ],
    more,
    play,
};

/// The network behind the tunnel, of which nobody outside knows the way.
const OFFICE: Uplink = Uplink {
    node: "office",
    link: "",
    interface: "ipsec0",
    pvd: "office.example",
    net: Net::v6([0x2001, 0xdb8, 0xd, 0], 48),
    assigned: Net::v6([0x2001, 0xdb8, 0xd, 0x900], 64),
    spare: Net::v6([0x2001, 0xdb8, 0xd, 0xa00], 64),
};

/// Where its gateway is outside.
const OUTSIDE: Net = Net::v6([0x2001, 0xdb8, 0xc, 0], 48);
/// What it has of IPv4.
const INSIDE_V4: Net = Net::v4([10, 1, 0, 0], 16);
/// Whence it gives IPv4 addresses.
const POOL_V4: Net = Net::v4([10, 9, 0, 0], 24);

/// What makes TUN devices.
const TUN: &str = "/dev/net/tun";

fn gateway() -> IpAddr {
    OUTSIDE.host(1)
}

fn more(topology: &mut Topology) {
    let office = OFFICE.node;
    topology.add_router(office);
    topology.link(INTERNET, office, office, INTERNET);
    let [core, own] = [1, 2].map(|end| format!("fd00:9::{end}"));
    topology.address(INTERNET, Version::V6, &format!("{core}/64 dev {office}"));
    topology.address(office, Version::V6, &format!("{own}/64 dev {INTERNET}"));
    for address in [gateway(), OFFICE.names(), OFFICE.objects()] {
        topology.address(office, Version::V6, &format!("{address} dev lo"));
    }
    topology.address(
        office,
        Version::V4,
        &format!("{} dev lo", INSIDE_V4.host(1)),
    );
    let router = BROADBAND.assigned.host(1);
    let link = BROADBAND.interface;
    for (node, line) in [
        (INTERNET, format!("route add {OUTSIDE} via {own}")),
        (office, format!("route add default via {core}")),
        // The tunnel takes one of the uplinks.
        (
            HOME,
            format!("route add {OUTSIDE} via {router} dev {link} onlink"),
        ),
    ] {
        topology.ip(node, Version::V6, line);
    }
}

/// What the uplink says of itself, and of the tunnel.
fn describing(identity: &str) -> Value {
    let mut said = object(&BROADBAND);
    let prefixes = [OFFICE.net, INSIDE_V4].map(|net| net.to_string());
    said["vendor-moat"] = json!({
        "vpn": { "gateway": gateway(), "identity": identity, "prefixes": prefixes }
    });
    said
}

fn play(stage: &mut Stage) -> Result<(), Error> {
    stage.progress("starting name servers and PvD servers");
    for uplink in UPLINKS {
        stage.issue(uplink)?;
        // Wrong, and seen if anybody asks.
        stage.start_names(uplink, &[(OFFICE.pvd, uplink.objects())])?;
    }
    stage.issue(&OFFICE)?;
    stage.start_names(&OFFICE, &[(OFFICE.pvd, OFFICE.objects())])?;
    stage.serve(&BROADBAND, &describing(OFFICE.pvd), Form::Plain)?;
    stage.serve(&MOBILE, &object(&MOBILE), Form::Plain)?;
    stage.serve(&OFFICE, &object(&OFFICE), Form::Signed)?;
    for uplink in UPLINKS {
        stage.advertise(uplink)?;
    }
    stage.watch(&[])?;
    stage.await_that("who describes a tunnel", [OFFICE.pvd], |stage| {
        let view = stage.pvd(&BROADBAND)?;
        Ok(view.iter().filter_map(described).collect::<Vec<_>>())
    })?;

    stage.progress("starting strongSwan at both ends");
    stage.start_charon(OFFICE.node, &office())?;
    stage.start_charon(HOME, &home(stage))?;
    look_at_tunnel(stage)?;
    let asked = format!("query: {} IN AAAA", OFFICE.pvd);
    stage.wait_for_log(OFFICE.node, "named", &asked)?;

    // What a daemon leaves half done, the kernel ends from whatever address it likes.
    await_uplinks(stage, "before a restart")?;
    stage.progress("starting the daemon again");
    stage.stop(HOME, "watch");
    stage.watch(&[])?;
    await_tunnel(stage, "after a restart")?;
    await_uplinks(stage, "after a restart")?;

    for uplink in UPLINKS {
        stage.look_at_edge(uplink)?;
        let captured = stage.captured(uplink, &[OFFICE.pvd])?;
        let what = format!("names of {} in packets at {}", OFFICE.pvd, uplink.node);
        stage.expect(&what, json!({}), captured.found);
    }

    stage.progress("having the uplink say that somebody else is there");
    stage.write("broadband.json", &describing("other.example").to_string())?;
    let refused = "refused: broadband.example on broadband0 says that its peer is other.example, \
                   and it has proved to be office.example";
    stage.await_that("how the tunnel stands", json!([refused]), |stage| {
        of(stage, |it| {
            it.tunnel.iter().map(|it| it.state.clone()).collect()
        })
    })?;
    stage.expect_nothing_used()?;
    stage.wait_for_log(HOME, "watch", refused)?;

    stage.progress("ending the tunnel");
    stage.swanctl(HOME, &["--terminate", "--ike", "office"])?;
    let rest = UPLINKS.map(|uplink| uplink.pvd);
    stage.await_that("explicit PvDs without the tunnel", rest, |stage| {
        let pvds = stage.pvds()?.into_iter();
        Ok(pvds.filter_map(|it| it.pvd).collect::<Vec<_>>())
    })
}

/// Of whom a PvD says that he is at the other end of a tunnel.
fn described(view: &DomainView) -> Option<Value> {
    let object = view.information.object.as_ref()?;
    object.pointer("/vendor-moat/vpn/identity").cloned()
}

/// Of the tunnel's PvD.
fn of(stage: &mut Stage, what: fn(&DomainView) -> Vec<String>) -> Result<Vec<String>, Error> {
    let view = stage.pvd(&OFFICE)?;
    Ok(view.as_ref().map(what).unwrap_or_default())
}

fn look_at_tunnel(stage: &mut Stage) -> Result<(), Error> {
    await_tunnel(stage, "inside the tunnel")?;
    let home = [POOL_V4.host(1), OFFICE.assigned.host(1)];
    let home = home.map(|it| it.to_string());
    stage.await_that("addresses in the tunnel", home, |stage| {
        of(stage, |it| {
            it.addresses.iter().map(|own| own.address.clone()).collect()
        })
    })?;
    let view = stage.pvd(&OFFICE)?;
    let view = view.as_ref();
    let resolvers = view.map(|it| it.resolvers.iter().map(|one| one.name.clone()));
    let resolvers = resolvers.map(Iterator::collect::<Vec<_>>);
    stage.expect("resolvers in the tunnel", [OFFICE.names()], resolvers);
    stage.expect("link of the tunnel", "a VPN", view.map(|it| &it.link));
    let tunnel = view.and_then(|it| it.tunnel.as_ref());
    let reaches = [INSIDE_V4, OFFICE.net].map(|net| net.to_string());
    let reached = tunnel.map(|it| &it.reaches);
    stage.expect("what is reached through it", reaches, reached);
    let outside = [format!("{} on {}", BROADBAND.pvd, BROADBAND.interface)];
    let carried = tunnel.map(|it| &it.carried_by);
    stage.expect("who carries the tunnel", &outside, carried);
    let described = tunnel.map(|it| &it.described_by);
    stage.expect("who describes the tunnel", &outside, described);
    // As from a file: the same object, proved by the same.
    let signed = stage.file("office.jws");
    let mut command = stage.moat(&["pvd", "verify", "--json", "--authorities"]);
    command.arg(stage.pki(&OFFICE).join("ca.pem")).arg(&signed);
    let verified: Value = process::parse("moat pvd verify", &process::output(&mut command)?)?;
    let told = view.and_then(|it| it.information.object.as_ref());
    stage.expect(
        "what the office says, against its signed file",
        &verified["object"],
        told,
    );
    Ok(())
}

fn await_uplinks(stage: &mut Stage, when: &str) -> Result<(), Error> {
    for uplink in UPLINKS {
        let what = format!("what {} says of itself, {when}", uplink.pvd);
        stage.await_that(&what, ["known"], |stage| {
            let view = stage.pvd(uplink)?;
            Ok(view
                .map(|it| it.information.state)
                .into_iter()
                .collect::<Vec<_>>())
        })?;
    }
    Ok(())
}

fn await_tunnel(stage: &mut Stage, when: &str) -> Result<(), Error> {
    let what = format!("what proves what {} says of itself, {when}", OFFICE.pvd);
    stage.await_that(&what, ["signature, certificate for the name"], |stage| {
        of(stage, |it| {
            it.information.evidence.clone().into_iter().collect()
        })
    })
}

/// The initiator: `moat` is told by it.
fn home(stage: &Stage) -> String {
    let updown = format!(
        "{} pvd tunnel updown --control {}",
        this_program(),
        stage.control().display()
    );
    format!(
        "connections {{ office {{
    local_addrs = {local}
    remote_addrs = {gateway}
    mobike = no
    vips = 0.0.0.0, ::
    local {{ auth = psk\n id = home.example\n }}
    remote {{ auth = psk\n id = {office}\n }}
    children {{ office {{
        remote_ts = {INSIDE_V4}, {inside}
        updown = {updown}
    }} }}
}} }}
secrets {{ ike-1 {{ secret = lab\n id = {office}\n }} }}
",
        local = BROADBAND.assigned.host(HOME_NUMBER),
        gateway = gateway(),
        office = OFFICE.pvd,
        inside = OFFICE.net,
    )
}

/// The responder.
fn office() -> String {
    format!(
        "connections {{ office {{
    local_addrs = {gateway}
    pools = four, six
    local {{ auth = psk\n id = {office}\n }}
    remote {{ auth = psk\n }}
    children {{ office {{ local_ts = {INSIDE_V4}, {inside}\n }} }}
}} }}
pools {{
    four {{ addrs = {POOL_V4}\n }}
    six {{ addrs = {pool}/112\n dns = {names}\n }}
}}
secrets {{ ike-1 {{ secret = lab\n id = home.example\n }} }}
",
        gateway = gateway(),
        office = OFFICE.pvd,
        inside = OFFICE.net,
        pool = OFFICE.assigned.host(0),
        names = OFFICE.names(),
    )
}

impl Stage {
    /// Starts strongSwan in a namespace with these connections; HOME initiates. The kernel has no IPsec to be relied upon, so
    /// packets go through a TUN device.
    fn start_charon(&mut self, node: &'static str, connections: &str) -> Result<(), Error> {
        // charon does not say that it has none.
        let device = File::options().read(true).write(true).open(TUN);
        device.map_err(Error::io(format!("open {TUN}")))?;
        let vici = self.file(&format!("{node}-vici"));
        let config = format!(
            "charon-systemd {{
    load = nonce random openssl pem pkcs1 pkcs8 x509 pubkey constraints revocation hmac kdf sha1 sha2 aes gcm kernel-libipsec kernel-netlink socket-default updown vici
    filelog {{ stderr {{ default = 1\n }} }}
    journal {{ default = -1\n }}
    plugins {{
        vici {{ socket = unix://{}\n }}
        updown {{ dns_handler = yes\n }}
    }}
}}
",
            vici.display()
        );
        self.write(&format!("{node}-strongswan.conf"), &config)?;
        self.write(&format!("{node}-swanctl.conf"), connections)?;
        let mut command = self.system_program("charon-systemd")?;
        command.env(
            "STRONGSWAN_CONF",
            self.file(&format!("{node}-strongswan.conf")),
        );
        self.start(node, "charon", &mut command)?;
        let listens = process::wait_for(LIMIT, || Ok(vici.exists().then_some(())))?;
        listens.ok_or_else(|| self.timeout(&format!("the socket of charon of {node}")))?;
        let file = self.file(&format!("{node}-swanctl.conf"));
        let file = file.display().to_string();
        self.swanctl(node, &["--load-all", "--file", &file])?;
        if node == HOME {
            self.swanctl(
                node,
                &["--initiate", "--child", "office", "--timeout", "20"],
            )?;
        }
        Ok(())
    }

    /// Tells the strongSwan of a namespace something.
    fn swanctl(&self, node: &str, words: &[&str]) -> Result<(), Error> {
        let mut command: Command = self.system_program("swanctl")?;
        let vici = self.file(&format!("{node}-vici"));
        command
            .env(
                "STRONGSWAN_CONF",
                self.file(&format!("{node}-strongswan.conf")),
            )
            .args(words)
            .arg("--uri")
            .arg(format!("unix://{}", vici.display()));
        let said = self
            .network
            .node(node)?
            .enter(|| process::output(&mut command))?;
        said.map(drop)
    }

    /// Nothing of the tunnel is there for programs.
    fn expect_nothing_used(&mut self) -> Result<(), Error> {
        let view = self.pvd(&OFFICE)?;
        let used = view.map(|it| {
            let object = usize::from(it.information.object.is_some());
            let reaches = it.tunnel.map_or(0, |it| it.reaches.len());
            [it.addresses.len(), it.resolvers.len(), object, reaches]
        });
        self.expect("what of the tunnel may be used", [0; 4], used);
        Ok(())
    }
}
