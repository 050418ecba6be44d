//! A name server: BIND, plain on port 5353 and over TLS on port 853 of 127.0.0.1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Outcome, Site, until};

const ZONE: &str = "$TTL 60
@ IN SOA ns.invalid. host.invalid. 1 3600 600 86400 60
@ IN NS ns.invalid.
dots2 IN A 192.0.2.46
www IN A 203.0.113.80
www IN AAAA 2001:db8:6401::80
both IN A 203.0.113.81
both IN A 192.0.2.1
foreign IN A 192.0.2.1
";

/// BIND, which signs `customer.example` and not `unsigned.example`. Killed when dropped.
pub(crate) struct NameServer(Child);

impl NameServer {
    pub(crate) fn start(site: &Site) -> Outcome<Self> {
        let folder = site.path().join("dns");
        fs::create_dir(&folder)?;
        site.issue("pki", &["--server", "dns.example"])?;
        for zone in ["customer.example", "unsigned.example"] {
            fs::write(folder.join(zone), ZONE)?;
        }
        fs::write(folder.join("named.conf"), configuration(&folder))?;
        let log = fs::File::create(folder.join("log"))?;
        let child = Command::new("named")
            .args(["-g", "-c"])
            .arg(folder.join("named.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let server = Self(child);
        until("the zone is signed", || {
            if !fs::read_to_string(folder.join("log"))?.contains("next key event") {
                return Ok(false);
            }
            let key = fs::read_to_string(key_file(&folder)?)?;
            fs::write(site.path().join("anchor"), &key)?;
            Ok(key.contains("DNSKEY"))
        })?;
        Ok(server)
    }
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

fn configuration(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"options {{
    directory "{folder}"; pid-file none; session-keyfile none; lock-file none;
    listen-on port 5353 {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    listen-on port 853 tls local {{ 127.0.0.1; }};
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
