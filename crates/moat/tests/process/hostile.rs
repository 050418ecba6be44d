//! Bad input of every kind: the exact response or silence, a line in the log that says why, and
//! nothing of anybody else's lost (issue 2, item 6).

use coap::{Code, Message, MessageType, OptionNumber};
use dots::identifiers::Mid;
use dots::mitigation::{ConflictCause, MitigationReport, Refusal, Status};
use dtls::{AlertCode, CloseReason, Role};

use crate::support::{
    CUID, Daemon, Gate, Legit, NoSession, Outcome, Outgoing, Peer, SERVER_V4, Site,
    assert_no_secret_in, body, delete, get, is_filtered, isolated, mitigate_path, put, scope,
    until,
};

/// Another client identifier.
const OTHER: &str = "another-client";

/// A server with one mitigation in force, and the one that asked for it.
fn scene() -> Outcome<(Site, Daemon, Legit)> {
    let site = Site::new()?;
    let server = site.start()?;
    let legit = Legit::new(&site)?;
    Ok((site, server, legit))
}

fn connect(site: &Site, pki: &str, name: &str) -> Outcome<Peer> {
    Peer::connect(&site.identity(pki, name), SERVER_V4)
}

fn text(response: &Message) -> String {
    String::from_utf8_lossy(&response.payload).into_owned()
}

///
#[test]
fn a_certificate_of_another_ca_or_an_expired_one_gets_its_alert_and_no_session() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        site.init("foreign")?;
        site.issue("foreign", &["--client", "home"])?;
        site.init_copy("late")?;
        site.issue("late", &["--client", "home", "--expired"])?;
        let before = site.ask("sessions")?;
        for (pki, alert, reason) in [
            (
                "foreign",
                AlertCode::UNKNOWN_CA,
                "the client's certificate does not lead to a trust anchor",
            ),
            (
                "late",
                AlertCode::CERTIFICATE_EXPIRED,
                "the client's certificate has expired",
            ),
        ] {
            let Err(NoSession(closed)) = Peer::try_connect(&site.identity(pki, "home"), SERVER_V4)?
            else {
                return Err(format!("{pki} got a session").into());
            };
            let peer = Role::Server;
            assert_eq!(closed, Some(CloseReason::Alert { peer, alert }));
            server.wait_for(reason)?;
            legit.check(&site, &mut server)?;
        }
        assert_eq!(site.ask("sessions")?["sessions"], before["sessions"]);
        assert_no_secret_in(&server.kill()?, &site)
    })
}

/// The client's side: what it says of a server that is not who it should be.
#[test]
fn a_server_of_another_name_gets_no_session_and_the_client_says_why() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        let file = site.client_file("other.example", "")?;
        let mut client = Daemon::launch("client", &file)?;
        client.wait_for("no session")?;
        let sessions = site.ask_at("client.sock", "sessions")?;
        let session = &sessions["sessions"][0];
        assert_eq!(session["state"], "down");
        let reason = session["reason"].as_str().unwrap_or_default();
        assert_eq!(
            reason,
            "the server's certificate is not valid for the name other.example"
        );
        assert_no_secret_in(&client.kill()?, &site)?;
        legit.check(&site, &mut server)?;

        let mut client = site.start_client("")?;
        client.wait_for("session established")?;
        Ok(())
    })
}

/// Covers: G-013, X-010.
#[test]
fn a_valid_certificate_of_no_customer_gets_4_01() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        let mut stranger = connect(&site, "pki", "stranger")?;
        server.wait_for("belongs to no customer")?;
        for request in [
            put(CUID, 20, &body("203.0.113.99/32", 60)),
            put(OTHER, 1, &body("203.0.113.1/32", 60)),
            get(CUID, 20),
            delete(CUID, 20),
        ] {
            assert_eq!(stranger.ask(&request)?.code, Code::UNAUTHORIZED);
            assert!(server.wait_for("request refused")?.contains("4.01"));
        }
        legit.check(&site, &mut server)
    })
}

/// A request, and the code and words of its refusal.
type Case = (Outgoing, Code, &'static str);

fn to_path(method: Code, path: &str) -> Outgoing {
    Outgoing::new(method, path).with_body(271, &body("203.0.113.1/32", 60))
}

/// Covers: S-005, S-006, S-007, S-011, S-012, X-012.
fn wrong_around_the_body() -> Vec<Case> {
    let mitigate = ".well-known/dots/mitigate";
    let whole = mitigate_path(OTHER, 1);
    let good = body("203.0.113.1/32", 60);
    let not_found = Code::NOT_FOUND;
    let refused = Code::BAD_REQUEST;
    let (put, delete) = (Code::PUT, Code::DELETE);
    vec![
        (
            to_path(put, &format!("{mitigate}/cuid={OTHER}")),
            refused,
            "lacks mid",
        ),
        (
            to_path(delete, &format!("{mitigate}/cuid={OTHER}")),
            refused,
            "lacks mid",
        ),
        (to_path(put, mitigate), refused, "lacks cuid"),
        (to_path(Code::GET, mitigate), refused, "lacks cuid"),
        (
            to_path(put, &format!("{mitigate}/cuid=/mid=1")),
            refused,
            "cuid is empty",
        ),
        (
            to_path(put, &format!("{mitigate}/cuid={OTHER}/mid=")),
            refused,
            "mid is empty",
        ),
        (
            to_path(put, &format!("{mitigate}/mid=1/cuid={OTHER}")),
            refused,
            "not in its place",
        ),
        (
            to_path(put, &format!("{mitigate}/cuid={OTHER}/mid=4294967296")),
            refused,
            "mid is not a number",
        ),
        (
            to_path(put, &format!("{whole}/x=1")),
            refused,
            "unknown parameter",
        ),
        (
            to_path(put, ".well-known/dots/nowhere"),
            not_found,
            "no such resource",
        ),
        (
            to_path(Code::GET, ".well-known/core"),
            not_found,
            "no such resource",
        ),
        (
            to_path(Code::POST, &whole),
            Code::METHOD_NOT_ALLOWED,
            "GET, PUT and DELETE",
        ),
        (
            to_path(Code::FETCH, &whole),
            Code::METHOD_NOT_ALLOWED,
            "GET, PUT and DELETE",
        ),
        (
            Outgoing::new(put, &whole).with_body(0, &good),
            Code::UNSUPPORTED_CONTENT_FORMAT,
            "271",
        ),
        (
            Outgoing::new(put, &whole).with_body(50, b"{}"),
            Code::UNSUPPORTED_CONTENT_FORMAT,
            "271",
        ),
        (
            to_path(put, &whole).with_option(OptionNumber::IF_NONE_MATCH, &[]),
            Code::BAD_OPTION,
            "critical option 5",
        ),
    ]
}

/// Covers: S-010, S-017, S-018, S-022, S-027, X-012, X-017.
fn wrong_bodies() -> Vec<(Vec<u8>, &'static str)> {
    let good = body("203.0.113.1/32", 60);
    // Without the head of its map, and without lifetime.
    let target = &good[6..good.len() - 4];
    let entry = &good[5..];
    let with = |fields: &[&[u8]]| {
        let head = 0xa0 | u8::try_from(fields.len()).unwrap_or(0);
        scope(&[&[head], fields.concat().as_slice()].concat())
    };
    let mut long = good.clone();
    long.push(0);
    vec![
        (
            body("192.0.2.1/32", 60),
            "target-prefix 192.0.2.1/32 is not within",
        ),
        (
            body("198.51.100.1/32", 60),
            "is not within the prefixes of customer home",
        ),
        (body("203.0.112.0/23", 60), "is not within"),
        (body("0.0.0.0/0", 60), "loopback"),
        (body("127.0.0.1/32", 60), "loopback"),
        (body("::1/128", 60), "loopback"),
        (body("224.0.0.1/32", 60), "multicast"),
        (body("ff02::1/128", 60), "multicast"),
        (body("255.255.255.255/32", 60), "broadcast"),
        (body("203.0.113.1/33", 60), "target-prefix"),
        (body("not a prefix", 60), "target-prefix"),
        (body("203.0.113.1/32", 0), "lifetime"),
        (with(&[target, &[0x0e, 0x21]]), "lifetime"),
        (with(&[target]), "lifetime is missing"),
        (with(&[&[0x0e, 0x18, 0x3c]]), "none of target-prefix"),
        (with(&[&[0x06, 0x80], &[0x0e, 0x18, 0x3c]]), "empty"),
        (
            with(&[target, &[0x0e, 0x18, 0x3c], &[0x18, 0x3c, 0x01]]),
            "60",
        ),
        (
            with(&[target, &[0x0e, 0x18, 0x3c], &[0x19, 0x01, 0x00, 0x01]]),
            "256",
        ),
        (
            with(&[target, &[0x0e, 0x18, 0x3c], &[0x0e, 0x18, 0x3c]]),
            "present twice",
        ),
        (
            [&[0xa1, 0x01, 0xa1, 0x02, 0x82], entry, entry].concat(),
            "more than 1 entry",
        ),
        ([&[0xa1, 0x18, 0x3c], &good[1..]].concat(), "60"),
        (long, "1 bytes after the message"),
        (b"{\"scope\":[]}".to_vec(), "expected"),
        ([0x9f; 64].to_vec(), "expected"),
        (Vec::new(), "cut short"),
    ]
}

#[test]
fn a_wrong_request_gets_its_code_and_the_reason_and_changes_nothing() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        let mut client = connect(&site, "pki", "home")?;
        let bodies = wrong_bodies().into_iter();
        let bodies = bodies.map(|(body, words)| (put(OTHER, 1, &body), Code::BAD_REQUEST, words));
        for (request, code, words) in wrong_around_the_body().into_iter().chain(bodies) {
            // Confirmable, since a message that cannot be a request is rejected otherwise.
            let response = client.ask_as(MessageType::Confirmable, &request)?;
            let said = text(&response);
            assert_eq!(response.code, code, "{words}: {said}");
            assert!(said.contains(words), "{words}: {said}");
            assert_eq!(response.options.content_format(), None, "{words}");
            if code != Code::BAD_OPTION {
                let line = server.wait_for("request refused")?;
                assert!(line.contains(&code.to_string()), "{words}: {line}");
            }
        }
        assert_eq!(client.ask(&get(OTHER, 1))?.code, Code::NOT_FOUND);
        legit.check(&site, &mut server)?;
        assert_no_secret_in(&server.kill()?, &site)
    })
}

#[test]
fn a_body_cut_short_anywhere_gets_4_00() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        let mut client = connect(&site, "pki", "home")?;
        let whole = body("203.0.113.1/32", 60);
        for length in 0..whole.len() {
            let response = client.ask(&put(OTHER, 1, &whole[..length]))?;
            assert_eq!(response.code, Code::BAD_REQUEST, "{length} bytes");
            assert!(text(&response).contains("cut short"), "{length} bytes");
        }
        legit.check(&site, &mut server)?;
        assert_eq!(client.ask(&put(OTHER, 1, &whole))?.code, Code::CREATED);
        Ok(())
    })
}

/// Covers: S-048.
#[test]
fn an_efficacy_update_of_an_unknown_mitigation_is_not_answered() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        let mut client = connect(&site, "pki", "home")?;
        let request =
            put(OTHER, 1, &body("203.0.113.1/32", 60)).with_option(OptionNumber::IF_MATCH, &[]);
        let request = client.message(MessageType::NonConfirmable, &request);
        client.send(&request.encode())?;
        // Whatever it would have been told comes before the answer to this.
        let next = client.message(MessageType::NonConfirmable, &get(OTHER, 1));
        client.send(&next.encode())?;
        let response = client.receive(crate::support::PATIENCE)?.ok_or("silence")?;
        assert_eq!(
            (response.token, response.code),
            (next.token, Code::NOT_FOUND)
        );
        server.wait_for("left unanswered")?;
        legit.check(&site, &mut server)
    })
}

/// Covers: S-034, S-039, X-010.
#[test]
fn another_client_neither_takes_a_cuid_nor_sees_or_ends_what_it_stands_for() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        site.init_copy("second")?;
        site.issue("second", &["--client", "home"])?;
        for prefix in ["203.0.113.1/32", "203.0.113.99/32"] {
            let mut other = connect(&site, "second", "home")?;
            for mid in [19, 20, 21] {
                let response = other.ask(&put(CUID, mid, &body(prefix, 60)))?;
                assert_eq!(response.code, Code::CONFLICT);
                // conflict-cause 3 and nothing else.
                assert_eq!(response.payload, scope(&[0xa1, 0x11, 0xa1, 0x13, 0x03]));
                assert_eq!(response.options.content_format(), Some(271));
            }
            let all = format!(".well-known/dots/mitigate/cuid={CUID}");
            let all_of_other = format!(".well-known/dots/mitigate/cuid={OTHER}");
            for request in [
                get(CUID, 20),
                get(OTHER, 20),
                Outgoing::new(Code::GET, &all),
                Outgoing::new(Code::GET, &all_of_other),
            ] {
                assert_eq!(other.ask(&request)?.code, Code::NOT_FOUND);
            }
            assert_eq!(other.ask(&delete(CUID, 20))?.code, Code::DELETED);
            legit.check(&site, &mut server)?;
        }
        // Another customer may call its client the same, and means its own.
        let mut neighbour = connect(&site, "pki", "neighbour")?;
        for (request, code) in [
            (get(CUID, 20), Code::NOT_FOUND),
            (put(CUID, 20, &body("198.51.100.1/32", 60)), Code::CREATED),
            (delete(CUID, 20), Code::DELETED),
        ] {
            assert_eq!(neighbour.ask(&request)?.code, code);
            assert_eq!(legit.peer.ask(&get(CUID, 20))?.code, Code::CONTENT);
            assert!(is_filtered("203.0.113.99"));
        }
        Ok(())
    })
}

/// Covers: S-026, S-029, S-030.
#[test]
fn of_overlapping_requests_the_higher_mid_wins_in_either_order() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        let lower = put(CUID, 19, &body("203.0.113.96/28", 60));
        let response = legit.peer.ask(&lower)?;
        assert_eq!(response.code, Code::CONFLICT);
        let conflict = Refusal::decode(&response.payload)?.conflict;
        assert_eq!(conflict.cause, Some(ConflictCause::OverlappingTargets));
        assert_eq!(conflict.status, None);
        assert_eq!(conflict.scope.and_then(|scope| scope.mid), Some(Mid(20)));
        let changed = put(CUID, 20, &body("203.0.113.98/32", 60));
        assert_eq!(legit.peer.ask(&changed)?.code, Code::BAD_REQUEST);
        legit.check(&site, &mut server)?;

        let higher = put(CUID, 21, &body("203.0.113.96/28", 60));
        assert_eq!(legit.peer.ask(&higher)?.code, Code::CREATED);
        assert_eq!(legit.peer.ask(&get(CUID, 20))?.code, Code::NOT_FOUND);
        assert_eq!(legit.peer.ask(&get(CUID, 21))?.code, Code::CONTENT);
        Ok(())
    })
}

/// A filter that hangs is no reason to leave anybody without an answer.
#[test]
fn while_nft_hangs_the_server_answers_and_says_what_is_not_in_force_yet() -> Outcome {
    isolated(&[], || {
        let (site, mut server, mut legit) = scene()?;
        let gate = Gate::shut(site.path())?;
        let request = put(CUID, 21, &body("203.0.113.21/32", 600));
        assert_eq!(legit.peer.ask(&request)?.code, Code::CREATED);
        let response = legit.peer.ask(&get(CUID, 21))?;
        let MitigationReport(entries) = MitigationReport::decode(&response.payload)?;
        let status = entries.first().map(|entry| entry.status);
        assert_eq!(status, Some(Status::AttackMitigationInProgress));
        assert_eq!(
            site.ask("status")?["mitigations"].as_array().map(Vec::len),
            Some(2)
        );
        assert!(!is_filtered("203.0.113.21"));
        assert!(server.is_running()?);
        drop(gate);
        until("the filter comes", || Ok(is_filtered("203.0.113.21")))
    })
}
