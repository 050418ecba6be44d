//! Names as targets, looked up at a real name server: over TLS, and believed only when signed
//! (RFC 9132 §4.4.1.1, §11).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use coap::{Code, Message};
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
use dots::target::Target;

use crate::support::{
    CUID, Outcome, Peer, SERVER_V4, Site, delete, is_filtered, isolated, put, until,
};

const ZONE: &str = "$TTL 60
@ IN SOA ns.invalid. host.invalid. 1 3600 600 86400 60
@ IN NS ns.invalid.
www IN A 203.0.113.80
www IN AAAA 2001:db8:6401::80
both IN A 203.0.113.81
both IN A 192.0.2.1
foreign IN A 192.0.2.1
";

/// BIND, which signs `customer.example` and not `unsigned.example`. Killed when dropped.
struct NameServer(Child);

impl NameServer {
    fn start(site: &Site) -> Outcome<Self> {
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
    listen-on {{ none; }}; listen-on-v6 {{ none; }};
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

fn ask(client: &mut Peer, mid: u32, target: Target) -> Outcome<Message> {
    let lifetime = Lifetime::Seconds(600.try_into()?);
    let request = MitigationRequest::new(target, lifetime, true, None)?;
    client.ask(&put(CUID, mid, &request.encode()))
}

fn fqdn(name: &str) -> Outcome<Target> {
    Ok(Target {
        fqdns: vec![name.parse()?],
        ..Target::default()
    })
}

/// Covers: S-019, S-021, X-012, X-014
#[test]
fn names_are_looked_up_in_private_believed_when_signed_and_authorised_by_address() -> Outcome {
    isolated(&["named"], || {
        let site = Site::new()?;
        let _names = NameServer::start(&site)?;
        let file = site.path().join("server.toml");
        let config = fs::read_to_string(&file)?;
        let dns = r#"[dns]
servers = ["127.0.0.1"]
tls_name = "dns.example"
trust_anchors = "pki/ca.pem"
dnssec_trust_anchors = "anchor"
"#;
        fs::write(&file, format!("{config}{dns}"))?;
        let _server = site.start()?;
        let mut client = Peer::connect(&site.identity("pki", "home"), SERVER_V4)?;

        let answer = ask(&mut client, 1, fqdn("www.customer.example")?)?;
        assert_eq!(answer.code, Code::CREATED);
        for address in ["203.0.113.80", "2001:db8:6401::80"] {
            until("its addresses are protected", || Ok(is_filtered(address)))?;
        }
        client.ask(&delete(CUID, 1))?;

        // One address that is somebody else's is enough.
        for (mid, name) in [
            (2, "foreign.customer.example"),
            (3, "both.customer.example"),
        ] {
            let answer = ask(&mut client, mid, fqdn(name)?)?;
            assert_eq!(answer.code, Code::BAD_REQUEST);
            let said = String::from_utf8_lossy(&answer.payload).into_owned();
            assert!(said.contains("192.0.2.1"), "{said}");
        }
        // What nobody has signed for might be anybody's.
        let answer = ask(&mut client, 4, fqdn("www.unsigned.example")?)?;
        assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
        let answer = ask(&mut client, 5, fqdn("nothing.customer.example")?)?;
        assert_eq!(answer.code, Code::BAD_REQUEST);

        let uri = Target {
            uris: vec!["https://www.customer.example/shop".parse()?],
            ..Target::default()
        };
        let answer = ask(&mut client, 6, uri)?;
        assert_eq!(answer.code, Code::CREATED);
        until("the host is protected", || Ok(is_filtered("203.0.113.80")))?;
        Ok(())
    })
}
