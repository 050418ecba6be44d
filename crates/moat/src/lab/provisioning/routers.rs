//! What runs on a router and in the network behind it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::network::{UPLINKS, Uplink};
use super::stage::Stage;
use crate::lab::error::Error;
use crate::lab::process;

/// An end that no run lives to see.
const EXPIRES: &str = "2099-12-31T00:00:00Z";

/// The lifetime of a router, in seconds, which all that advertises from one address has to agree on.
const ROUTER_LIFETIME: u32 = 1800;

/// The interpreter for which Debian packages scapy, whatever others there are.
const PYTHON: &str = "/usr/bin/python3";

/// A router that knows RFC 8801, made of scapy alone.
const ADVERTISE: &str = include_str!("advertise.py");

/// In which forms an object is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As JSON.
    Plain,
    /// As a JWS, too, which hosts prefer.
    Signed,
}

/// What a network says of itself when it says the least.
pub(super) fn object(uplink: &Uplink) -> Value {
    json!({
        "identifier": uplink.pvd,
        "expires": EXPIRES,
        "prefixes": [uplink.net.to_string()],
        "dnsZones": [uplink.pvd],
    })
}

impl Stage {
    /// A certification authority of this network, with a certificate for its PvD ID.
    pub(super) fn issue(&mut self, uplink: &Uplink) -> Result<(), Error> {
        let pki = self.pki(uplink);
        std::fs::create_dir(&pki).map_err(Error::io(format!("make {}", pki.display())))?;
        for words in [["init", "--name"], ["issue", "--server"]] {
            let mut command = self.moat(&["pki"]);
            command.args(words).arg(uplink.pvd).arg("--dir").arg(&pki);
            process::output(&mut command)?;
        }
        let file = pki.join("ca.pem");
        let read = std::fs::read_to_string(&file);
        self.authorities += &read.map_err(Error::io(format!("read {}", file.display())))?;
        Ok(())
    }

    /// A further certificate of that authority, for a server or a client.
    pub(super) fn issue_for(&self, uplink: &Uplink, role: &str, name: &str) -> Result<(), Error> {
        let mut command = self.moat(&["pki", "issue", role, name, "--dir"]);
        process::output(command.arg(self.pki(uplink))).map(drop)
    }

    /// The keys of a file that name such a certificate.
    pub(super) fn certificate_keys(&self, uplink: &Uplink, name: &str) -> String {
        let pki = self.pki(uplink);
        format!(
            "certificate = {:?}\nprivate_key = {:?}\ntrust_anchors = {:?}\n",
            pki.join(format!("{name}.pem")),
            pki.join(format!("{name}-key.pem")),
            pki.join("ca.pem"),
        )
    }

    /// Where its certificates are.
    pub(super) fn pki(&self, uplink: &Uplink) -> PathBuf {
        self.file(&format!("{}-pki", uplink.node))
    }

    /// Starts the name server (bind): what is true of its own PvD it says of the other one too, and of these names what is said here.
    pub(super) fn start_names(
        &mut self,
        uplink: &Uplink,
        more: &[(&str, IpAddr)],
    ) -> Result<(), Error> {
        let folder = self.subfolder(&format!("{}-named", uplink.node))?;
        let mut config = format!(
            "options {{
    directory {folder:?}; pid-file none; session-keyfile none; lock-file none;
    listen-on {{ none; }}; listen-on-v6 {{ {}; }};
    recursion no; dnssec-validation no; notify no; querylog yes;
}};
controls {{ }};
",
            uplink.names()
        );
        let pvds = UPLINKS.map(|one| (one.pvd, uplink.objects()));
        for (name, address) in pvds.iter().chain(more) {
            let kind = if address.is_ipv4() { "A" } else { "AAAA" };
            let zone = format!(
                "$TTL 3600\n@ IN SOA ns.invalid. host.invalid. 1 3600 600 86400 60\n@ IN NS ns.invalid.\n@ IN {kind} {address}\n"
            );
            let file = format!("{}-named/{name}.zone", uplink.node);
            let file = self.write(&file, &zone)?;
            config += &format!("zone \"{name}\" {{ type primary; file {file:?}; }};\n");
        }
        let file = self.write(&format!("{}-named/named.conf", uplink.node), &config)?;
        let mut command = self.system_program("named")?;
        command.args(["-g", "-c"]).arg(file);
        self.start(uplink.node, "named", &mut command)?;
        self.wait_for_log(uplink.node, "named", " running")
    }

    /// Starts the PvD server with this object.
    pub(super) fn serve(
        &mut self,
        uplink: &Uplink,
        object: &Value,
        form: Form,
    ) -> Result<(), Error> {
        let (pki, pvd) = (self.pki(uplink), uplink.pvd);
        let certificate = pki.join(format!("{pvd}.pem"));
        let key = pki.join(format!("{pvd}-key.pem"));
        let file = self.write(&object_file(uplink), &object.to_string())?;
        let mut config = format!(
            "listen = [\"[{}]:443\"]\n\n[[pvd]]\nid = {pvd:?}\ncertificate = {certificate:?}\nprivate_key = {key:?}\nobject = {file:?}\n",
            uplink.objects()
        );
        if form == Form::Signed {
            let mut command = self.moat(&["pvd", "sign"]);
            command.arg(&file).arg("--key").arg(&key);
            command.arg("--certificate").arg(&certificate);
            let signed = process::output(&mut command)?;
            let signed = self.write(&format!("{}.jws", uplink.node), &signed)?;
            config += &format!("signed = {signed:?}\n");
        }
        let config = self.write(&format!("{}-serve.toml", uplink.node), &config)?;
        let mut command = self.moat(&["pvd", "serve", "--config"]);
        command.arg(config);
        self.start(uplink.node, "pvd-server", &mut command)?;
        self.wait_for_log(uplink.node, "pvd-server", "listening")
    }

    /// Starts radvd, which knows nothing of PvDs: an address for every host, and a default router.
    pub(super) fn start_radvd(&mut self, uplink: &Uplink) -> Result<(), Error> {
        let (interface, prefix) = (uplink.interface, uplink.assigned);
        let config = format!(
            "interface {interface} {{
    AdvSendAdvert on;
    AdvDefaultLifetime {ROUTER_LIFETIME};
    MaxRtrAdvInterval 600;
    prefix {prefix} {{ AdvOnLink on; AdvAutonomous on; }};
}};
"
        );
        let config = self.write(&format!("{}-radvd.conf", uplink.node), &config)?;
        let mut command = self.system_program("radvd")?;
        command.args(["--nodaemon", "--logmethod", "stderr", "--config"]);
        command.arg(config).arg("--pidfile");
        command.arg(self.file(&format!("{}-radvd.pid", uplink.node)));
        self.start(uplink.node, "radvd", &mut command)
    }

    /// Has scapy advertise the PvD beside radvd, once a second, with all of it inside the option: the prefix that radvd has, one that only
    /// hosts with PvDs may know, and the resolver.
    pub(super) fn start_scapy(&mut self, uplink: &Uplink) -> Result<(), Error> {
        let script = self.write("advertise.py", ADVERTISE)?;
        let mut command = Command::new(PYTHON);
        // It would keep caches where the user has his.
        let home = self.subfolder("scapy")?;
        for variable in ["HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
            command.env(variable, &home);
        }
        command.arg(script).args([uplink.interface, uplink.pvd]);
        command.arg(ROUTER_LIFETIME.to_string());
        command.arg(uplink.names().to_string());
        command.args([uplink.assigned, uplink.spare].map(|net| net.to_string()));
        self.start(uplink.node, "scapy", &mut command)
    }

    /// Starts `moat pvd advertise` for all of it: default router, prefix, resolver, and the object that is served.
    pub(super) fn advertise(&mut self, uplink: &Uplink) -> Result<(), Error> {
        let config = format!(
            "state = {:?}\n[[interface]]\nname = {interface:?}\nmax_interval = 4\n\n\
             [[pvd]]\nid = {:?}\ninterface = {interface:?}\nrouter_lifetime = {ROUTER_LIFETIME}\nobject = {:?}\ndns = [\"{}\"]\n\n\
             [[pvd.prefix]]\nprefix = \"{}\"\n",
            self.file(&format!("{}-sequence.json", uplink.node)),
            uplink.pvd,
            self.file(&object_file(uplink)),
            uplink.names(),
            uplink.assigned,
            interface = uplink.interface,
        );
        let config = self.write(&format!("{}-advertise.toml", uplink.node), &config)?;
        let mut command = self.moat(&["pvd", "advertise", "--config"]);
        command.arg(config);
        self.start(uplink.node, "advertise", &mut command)
    }
}

/// Where the object of a network is.
fn object_file(uplink: &Uplink) -> String {
    format!("{}.json", uplink.node)
}
