//! A name server: BIND, plain on port 5353 and over TLS on port 853.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Neighbour, Outcome, Site, until};

const ZONE: &str = "$TTL 60
@ IN SOA ns.invalid. host.invalid. 1 3600 600 86400 60
@ IN NS ns.invalid.
dots2 IN A 192.0.2.46
www IN A 203.0.113.80
www IN AAAA 2001:db8:6401::80
both IN A 203.0.113.81
both IN A 192.0.2.1
foreign IN A 192.0.2.1
@ IN NAPTR 10 10 \"s\" DOTS:signal.udp \"\" _dots-signal._udp
_dots-signal._udp IN SRV 0 0 4646 dots
dots IN AAAA 2001:db8:f::46
";

/// BIND, which signs `customer.example` and not `unsigned.example`. Killed when dropped.
pub(crate) struct NameServer(Child);

impl NameServer {
    /// At 127.0.0.1.
    pub(crate) fn start(site: &Site) -> Outcome<Self> {
        let folder = set_up(site, "listen-on", "127.0.0.1")?;
        let log = fs::File::create(folder.join("log"))?;
        let child = Command::new("named")
            .args(["-g", "-c"])
            .arg(folder.join("named.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let server = Self(child);
        take_anchor(site, &folder)?;
        Ok(server)
    }

    /// At an address of another host, with which it ends.
    pub(crate) fn start_at(site: &Site, host: &mut Neighbour, address: &str) -> Outcome {
        let folder = set_up(site, "listen-on-v6", address)?;
        let shown = folder.display();
        host.start(&format!("named -g -c {shown}/named.conf 2>{shown}/log"))?;
        take_anchor(site, &folder)
    }
}

/// Writes its files and returns their folder.
fn set_up(site: &Site, listen: &str, address: &str) -> Outcome<PathBuf> {
    let folder = site.path().join("dns");
    fs::create_dir(&folder)?;
    site.issue("pki", &["--server", "dns.example"])?;
    for zone in ["customer.example", "unsigned.example"] {
        fs::write(folder.join(zone), ZONE)?;
    }
    fs::write(
        folder.join("named.conf"),
        configuration(&folder, listen, address),
    )?;
    Ok(folder)
}

/// Waits for the signed zone, and puts its key where clients look for their trust anchor.
fn take_anchor(site: &Site, folder: &Path) -> Outcome {
    until("the zone is signed", || {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        if !log.contains("next key event") {
            return Ok(false);
        }
        let key = fs::read_to_string(key_file(folder)?)?;
        fs::write(site.path().join("anchor"), &key)?;
        Ok(key.contains("DNSKEY"))
    })
}

impl Drop for NameServer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The public key that BIND has made for its zone.
fn key_file(folder: &Path) -> Outcome<PathBuf> {
    let paths = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut keys = paths.filter(|path| path.extension().is_some_and(|it| it == "key"));
    Ok(keys.next().ok_or("no key was made")?)
}

fn configuration(folder: &Path, listen: &str, address: &str) -> String {
    let other = match listen {
        "listen-on" => "listen-on-v6",
        _ => "listen-on",
    };
    let folder = folder.display();
    format!(
        r#"options {{
    directory "{folder}"; pid-file none; session-keyfile none; lock-file none;
    {listen} port 5353 {{ {address}; }}; {other} {{ none; }};
    {listen} port 853 tls local {{ {address}; }};
    recursion no; dnssec-validation no; notify no;
}};
tls local {{ cert-file "../pki/dns.example.pem"; key-file "../pki/dns.example-key.pem"; }};
controls {{ }};
zone "customer.example" {{
    type primary; file "customer.example"; dnssec-policy default; inline-signing yes;
}};
zone "unsigned.example" {{ type primary; file "unsigned.example"; }};
"#
    )
}
