//! Names as targets, looked up at a real name server: over TLS, and believed only when signed
//! (RFC 9132 §4.4.1.1, §11).

use std::fs;
use std::time::Instant;

use coap::{Code, Message};
use dots::lifetime::Lifetime;
use dots::mitigation::MitigationRequest;
use dots::target::Target;

use crate::support::{
    CUID, NameServer, Outcome, PATIENCE, Peer, SERVER_V4, Site, delete, is_filtered, isolated, put,
    until,
};

fn ask_once(client: &mut Peer, mid: u32, target: Target) -> Outcome<Message> {
    let lifetime = Lifetime::Seconds(600.try_into()?);
    let request = MitigationRequest::new(target, lifetime, true, None)?;
    client.ask(&put(CUID, mid, &request.encode()))
}

/// The answer when the name server has been fast enough: the server waits some seconds for it.
fn ask(client: &mut Peer, mid: u32, target: &Target) -> Outcome<Message> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask_once(client, mid, target.clone())?;
        if answer.code != Code::SERVICE_UNAVAILABLE || Instant::now() > deadline {
            return Ok(answer);
        }
    }
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

        let answer = ask(&mut client, 1, &fqdn("www.customer.example")?)?;
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
            let answer = ask(&mut client, mid, &fqdn(name)?)?;
            assert_eq!(answer.code, Code::BAD_REQUEST);
            let said = String::from_utf8_lossy(&answer.payload).into_owned();
            // The provider's resolver tells nobody where a name is.
            assert!(said.contains(name) && !said.contains("192.0.2.1"), "{said}");
        }
        // What nobody has signed for might be anybody's.
        let answer = ask_once(&mut client, 4, fqdn("www.unsigned.example")?)?;
        assert_eq!(answer.code, Code::SERVICE_UNAVAILABLE);
        let answer = ask(&mut client, 5, &fqdn("nothing.customer.example")?)?;
        assert_eq!(answer.code, Code::BAD_REQUEST);

        let uri = Target {
            uris: vec!["https://www.customer.example/shop".parse()?],
            ..Target::default()
        };
        let answer = ask(&mut client, 6, &uri)?;
        assert_eq!(answer.code, Code::CREATED);
        until("the host is protected", || Ok(is_filtered("203.0.113.80")))?;
        Ok(())
    })
}
