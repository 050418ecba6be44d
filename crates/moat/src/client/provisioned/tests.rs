//! What is read of the feed.

use serde_json::{Value, json};
use tokio::net::UnixListener;

use super::*;

/// A line of the feed.
fn event(kind: &str, interface: &str, link: &str, information: &Value) -> Event {
    let line = json!({ "event": kind, "pvd": {
        "pvd": "fixed.example", "interface": interface, "link": link,
        "routers": [], "routes": [], "search": [], "nat64": [], "also_on": [],
        "prefixes": [{ "prefix": "2001:db8:f:100::/64", "on_link": true, "autonomous": true }],
        "addresses": [{ "address": "2001:db8:f:100::7", "temporary": true, "deprecated": false }],
        "resolvers": [{ "name": "2001:db8:f::53" }],
        "information": information,
    }});
    serde_json::from_value(line).unwrap()
}

fn object(id: &str, evidence: &str) -> Value {
    json!({ "state": "known", "evidence": evidence, "object": {
        "identifier": id, "expires": "2001-01-01T00:00:00Z", "prefixes": ["2001:db8:f::/48"],
        "vendor-moat": { "dotsServers": [{ "name": "dots.fixed.example", "addresses": ["2001:db8:f::46"] }] },
    }})
}

fn level() -> Level {
    let followed = Followed {
        id: "fixed.example".parse().unwrap(),
        interface: "fixed0".parse().unwrap(),
        resolvers: Vec::new(),
        assurance: Assurance::default(),
    };
    Level {
        followed: vec![followed],
        known: BTreeMap::new(),
        named: BTreeSet::new(),
    }
}

const SIGNED: &str = "signature, certificate for the name";

/// Covers: P-030, P-041
#[test]
fn servers_are_taken_from_the_pvd_on_its_interface_as_far_as_it_proves_itself() {
    for (link, information, servers, prefix) in [
        (
            "a cable",
            object("fixed.example", "TLS"),
            1,
            "2001:db8:f::/48",
        ),
        (
            "open WLAN",
            object("fixed.example", SIGNED),
            1,
            "2001:db8:f::/48",
        ),
        (
            "open WLAN",
            object("fixed.example", "TLS"),
            0,
            "2001:db8:f:100::/64",
        ),
        (
            "a cable",
            object("fixed.example", "nothing"),
            0,
            "2001:db8:f:100::/64",
        ),
        (
            "a cable",
            object("fixed.example", "a friend"),
            0,
            "2001:db8:f:100::/64",
        ),
        (
            "a cable",
            object("other.example", SIGNED),
            0,
            "2001:db8:f:100::/64",
        ),
    ] {
        let mut level = level();
        let told = level.take(&event("added", "fixed0", link, &information));
        let seen = told.unwrap().seen.unwrap();
        let of = (seen.domain.dots_servers.len(), seen.refused.is_some());
        assert_eq!(of, (servers, servers == 0), "{link} {information}");
        assert_eq!(seen.domain.prefixes, [prefix.parse().unwrap()]);
        assert_eq!(seen.domain.addresses[0].kind, Kind::Temporary);
        assert_eq!(seen.resolvers, ["[2001:db8:f::53]:53".parse().unwrap()]);
    }
}

/// Somebody who asks for more evidence than the client does is heard.
#[test]
fn what_is_refused_by_who_watches_does_not_count() {
    let mut information = object("fixed.example", SIGNED);
    information["refused_for"] = json!({ "dots-servers": "not signed by us" });
    let told = level().take(&event("added", "fixed0", "a cable", &information));
    let seen = told.unwrap().seen.unwrap();
    assert_eq!(seen.refused.as_deref(), Some("not signed by us"));
    assert_eq!(seen.domain.dots_servers, []);
}

/// Covers: P-030
#[test]
fn the_same_name_on_another_interface_is_not_this_pvd() {
    let information = object("fixed.example", SIGNED);
    let elsewhere = event("added", "wlan0", "a cable", &information);
    assert!(level().take(&elsewhere).is_none());
}

#[test]
fn only_what_is_different_is_reported_and_what_is_not_named_again_is_gone() {
    let mut level = level();
    let added = event(
        "added",
        "fixed0",
        "a cable",
        &object("fixed.example", SIGNED),
    );
    assert!(level.take(&added).is_some());
    assert!(level.take(&added).is_none());
    assert!(level.complete().is_empty());
    // Another connection.
    level.named.clear();
    let [gone] = &level.complete()[..] else {
        panic!("one is gone");
    };
    assert!(gone.seen.is_none());
    assert!(level.take(&added).is_some());
    let removed = event("removed", "fixed0", "a cable", &json!({ "state": "none" }));
    assert!(level.take(&removed).unwrap().seen.is_none());
}

/// Covers: P-032
#[test]
fn what_was_proved_serves_while_a_new_object_is_awaited_and_not_when_there_is_none() {
    let signed = object("fixed.example", SIGNED);
    for (information, servers) in [
        (json!({ "state": "is being asked for", "awaited": true }), 1),
        (json!({ "state": "the PvD announces none" }), 0),
    ] {
        let mut level = level();
        level.take(&event("added", "fixed0", "a cable", &signed));
        let changed = event("changed", "fixed0", "a cable", &information);
        let told = level.take(&changed).map(|told| told.seen.unwrap());
        let known = &level.known.values().next().unwrap().domain;
        assert_eq!(known.dots_servers.len(), servers);
        assert_eq!(told.is_none(), servers == 1);
    }
}

async fn ended(said: Vec<u8>) -> (io::Result<()>, Vec<Provisioned>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("pvd.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let (reports, mut reported) = mpsc::channel(8);
    let mut level = level();
    let other = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 64];
        let length = stream.read(&mut asked).await.unwrap();
        assert_eq!(&asked[..length], b"{\"command\":\"watch\"}\n");
        // It may be hung up on.
        let _ = stream.write_all(&said).await;
    };
    let mut lookups = BTreeMap::new();
    let (ended, ()) = tokio::join!(attend(&socket, &mut level, &mut lookups, &reports), other);
    let mut all = Vec::new();
    while let Ok(report) = reported.try_recv() {
        all.push(report);
    }
    (ended, all)
}

#[tokio::test]
async fn a_feed_is_read_line_by_line_and_a_line_without_end_ends_it() {
    let added = event(
        "added",
        "fixed0",
        "a cable",
        &object("fixed.example", SIGNED),
    );
    let mut line = serde_json::to_vec(&added).unwrap();
    line.push(b'\n');
    let (end, told) = ended(line.clone()).await;
    assert!(end.is_ok() && told.len() == 1, "{end:?}");
    let (end, told) = ended(b"{\"event\":\"new\"}\n".to_vec()).await;
    assert!(end.is_err() && told.is_empty());
    let room = usize::try_from(MAX_LINE_BYTES).unwrap();
    let (end, told) = ended([line, vec![b' '; room + 1]].concat()).await;
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert_eq!(told.len(), 1);
}
