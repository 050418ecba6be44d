//! A client that follows `moat pvd watch`.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use serde_json::json;

use crate::discovery_client::{mitigate, provider, sessions};
use crate::support::{Daemon, NameServer, Outcome, Site, isolated, until};

/// What `moat pvd watch` says to whoever asks, made up: a network that has signed the name of its DOTS server, and no address.
fn watch(socket: &Path) -> Outcome {
    let listener = UnixListener::bind(socket)?;
    let line = json!({ "event": "added", "pvd": {
        "pvd": "fixed.example", "interface": "fixed0", "link": "open WLAN",
        "routers": [], "routes": [], "search": [], "nat64": [], "also_on": [],
        "prefixes": [{ "prefix": "2001:db8:f::/64", "on_link": true, "autonomous": true }],
        "addresses": [{ "address": "2001:db8:f::7", "temporary": false, "deprecated": false }],
        "resolvers": [{ "name": "2001:db8:f::53" }],
        "information": {
            "state": "known", "evidence": "signature, certificate for the name",
            "object": {
                "identifier": "fixed.example", "expires": "2099-12-31T00:00:00Z", "prefixes": ["2001:db8:f::/48"],
                "vendor-moat": { "dotsServers": [{ "name": "dots.customer.example", "transports": ["tcp"] }] },
            },
        },
    }});
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream?;
            let mut question = String::new();
            BufReader::new(&stream).read_line(&mut question)?;
            writeln!(stream, "{line}")?;
            // It has no more to say, and stays.
            thread::spawn(move || drop(stream.read_to_string(&mut question)));
        }
        Ok::<_, std::io::Error>(())
    });
    Ok(())
}

/// The network's own resolver is asked, over TLS, and its answer validated, as the file wants it.
///
/// Covers: P-014, P-033
#[test]
fn a_server_that_a_signed_object_names_without_addresses_is_found_in_its_network() -> Outcome {
    isolated(&["named", "ss"], || {
        let site = Site::new()?;
        let name = "dots.customer.example";
        let mut provider = provider(&site, "fixed0", name, "2001:db8:f")?;
        provider.run("ip address add 2001:db8:f::53/64 dev home")?;
        NameServer::start_at(&site, &mut provider, "2001:db8:f::53")?;
        let socket = site.path().join("pvd.sock");
        watch(&socket)?;
        let file = site.path().join("client.toml");
        let client = r#"
state = "state/client.db"
control = "client.sock"
[provisioning]
socket = "pvd.sock"
[[pvd]]
id = "fixed.example"
interface = "fixed0"
[pvd.dns]
tls_name = "dns.example"
trust_anchors = "pki/ca.pem"
dnssec_trust_anchors = "anchor"
[pvd.discover]
trusted_names = ["dots.customer.example"]
certificate = "pki/home.pem"
private_key = "pki/home-key.pem"
trust_anchors = "pki/ca.pem"
"#;
        fs::write(&file, client)?;
        let mut client = Daemon::launch("client", &file)?;
        client.wait_for("provisioned")?;
        until("there is a session with the server", || {
            Ok(sessions(&site)? == [name])
        })?;
        let answer = site.ask_at("client.sock", "sessions")?;
        let session = &answer["sessions"][0];
        assert_eq!(session["learned"], "signed additional information");
        assert_eq!(session["connections"][0]["transport"], "tcp");
        let requests = mitigate(&site, "2001:db8:f::7")?;
        assert_eq!(requests[0]["server"], name, "{requests}");
        Ok(())
    })
}
