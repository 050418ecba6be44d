//! Two ends in memory, through the cookie door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::pair::{Direction, Pair};
use common::pki::{self, Ca, Profile};
use dtls::{
    Acceptor, AlertCode, CertificateFault, CertificateProblem, ClientConfig, CloseReason,
    Credential, OpensslSession, PathMtu, ResumptionState, Role, SendError, ServerConfig, Session,
    SessionSettings, X509Code, spki_sha256,
};

fn settings(octets: u16) -> SessionSettings {
    SessionSettings {
        path_mtu: PathMtu::new(octets).unwrap(),
        ..SessionSettings::default()
    }
}

/// Covers: X-001, S-013
#[test]
fn both_ends_learn_the_certificate_of_the_other() {
    let (server, client) = pki::server_and_client();
    let mut pair = Pair::of(&server, &client);
    pair.settle();

    let seen_by_server = pair.server_saw.peer.unwrap();
    assert!(!seen_by_server.resumed);
    let Credential::Certificate {
        spki_sha256: hash,
        subject,
        dns_names,
        ..
    } = &seen_by_server.credential
    else {
        panic!("{seen_by_server:?}");
    };
    assert_eq!(*hash, spki_sha256(&client.certificate).unwrap());
    assert_eq!(subject, "CN=client-1, O=Example");
    assert_eq!(dns_names, &[pki::CLIENT_NAME]);
    assert_eq!(seen_by_server.credential.fingerprint(), *hash);

    let seen_by_client = pair.client_saw.peer.unwrap();
    assert_eq!(
        seen_by_client.credential.fingerprint(),
        spki_sha256(&server.certificate).unwrap()
    );
}

#[test]
fn data_arrives_at_the_other_end_one_output_for_each_send() {
    let mut pair = Pair::good();
    pair.settle();
    pair.client.send(pair.now, b"request").unwrap();
    pair.client.send(pair.now, b"another").unwrap();
    pair.settle();
    let now = pair.now;
    pair.server().send(now, b"response").unwrap();
    pair.settle();
    assert_eq!(pair.server_saw.data, [b"request", b"another"]);
    assert_eq!(pair.client_saw.data, [b"response"]);
}

///
#[test]
fn nothing_is_sent_before_the_handshake_has_finished() {
    let mut pair = Pair::good();
    assert_eq!(
        pair.client.send(pair.now, b"early"),
        Err(SendError::NotEstablished)
    );
}

/// Covers: S-076
#[test]
fn data_up_to_the_limit_fits_the_path_mtu_and_more_is_refused() {
    let mut pair = Pair::good();
    pair.settle();
    let limit = pair.client.data_limit();
    let sent_before = pair.trace.len();
    pair.client.send(pair.now, &vec![1; limit]).unwrap();
    assert_eq!(
        pair.client.send(pair.now, &vec![1; limit + 1]),
        Err(SendError::TooLarge { limit })
    );
    pair.settle();
    assert_eq!(pair.server_saw.data, [vec![1; limit]]);
    assert_eq!(pair.trace.len(), sent_before + 1);
    assert!(pair.trace[sent_before].1.len() + 48 <= 1280);
}

/// Covers: S-076
#[test]
fn a_handshake_that_needs_many_fragments_fits_a_small_path_mtu() {
    let ca = Ca::new("test CA");
    let many = |kind: &str| {
        (0..60)
            .map(|n| format!("{kind}-{n}.a-rather-long-name.example"))
            .collect::<Vec<_>>()
    };
    let mut names = many("server");
    names.push(pki::SERVER_NAME.to_owned());
    let server = ca.issue(&Profile {
        dns_names: names,
        ..Profile::server()
    });
    let client = ca.issue(&Profile {
        dns_names: many("client"),
        ..Profile::client()
    });

    let mut pair = Pair::with(
        ServerConfig::new(server.credentials(), settings(576)).unwrap(),
        &ClientConfig::new(client.credentials(), settings(576)).unwrap(),
        pki::SERVER_NAME,
        None,
    );
    pair.settle();
    assert!(pair.established());
    assert!(
        pair.trace
            .iter()
            .all(|(_, datagram)| datagram.len() + 48 <= 576)
    );
    assert!(pair.trace.len() > 12, "{} datagrams", pair.trace.len());
}

/// Covers: X-004, S-067
#[test]
fn a_session_that_broke_off_can_be_resumed_again_and_again() {
    let (server, client) = pki::server_and_client();
    let (server, client) = (server.server_config(), client.client_config());
    let mut first = Pair::with(server.clone(), &client, pki::SERVER_NAME, None);
    first.settle();
    let state = first.client.resumption().unwrap();
    drop(first);
    for _ in 0..3 {
        let mut again = Pair::with(server.clone(), &client, pki::SERVER_NAME, Some(&state));
        again.settle();
        assert!(again.client_saw.peer.unwrap().resumed);
    }
}

///
#[test]
fn a_session_is_resumed_and_the_server_still_knows_the_client() {
    let (server, client) = pki::server_and_client();
    let (server, client_config) = (server.server_config(), client.client_config());
    let mut first = Pair::with(server.clone(), &client_config, pki::SERVER_NAME, None);
    first.settle();
    let state = first.client.resumption().unwrap();

    let mut second = Pair::with(server, &client_config, pki::SERVER_NAME, Some(&state));
    second.settle();
    let (at_client, at_server) = (
        second.client_saw.peer.clone().unwrap(),
        second.server_saw.peer.clone().unwrap(),
    );
    assert!(at_client.resumed && at_server.resumed);
    assert_eq!(
        at_client.credential,
        first.client_saw.peer.unwrap().credential
    );
    assert_eq!(
        at_server.credential,
        first.server_saw.peer.unwrap().credential
    );

    second.client.send(second.now, b"hello again").unwrap();
    second.settle();
    assert_eq!(second.server_saw.data, [b"hello again"]);
    assert!(
        second.client.resumption().is_some(),
        "a resumed session can be resumed too"
    );
}

///
#[test]
fn a_ticket_that_outgrows_a_datagram_still_resumes() {
    let ca = Ca::new("test CA");
    let dns_names = (0..60)
        .map(|n| format!("client-{n}.a-rather-long-name.example"))
        .collect();
    let (server, client) = (
        ca.issue(&Profile::server()),
        ca.issue(&Profile {
            dns_names,
            ..Profile::client()
        }),
    );
    let (server, client) = (server.server_config(), client.client_config());
    let mut first = Pair::with(server.clone(), &client, pki::SERVER_NAME, None);
    first.settle();
    let state = first.client.resumption().unwrap();

    let mut second = Pair::with(server, &client, pki::SERVER_NAME, Some(&state));
    second.settle();
    let hello_datagrams = second
        .trace
        .iter()
        .take_while(|(direction, _)| *direction == Direction::ToServer)
        .count();
    assert!(hello_datagrams > 1, "the ClientHello was not fragmented");
    assert!(second.server_saw.peer.unwrap().resumed);
}

///
#[test]
fn a_session_is_not_resumed_with_another_name_or_configuration() {
    let ca = Ca::new("test CA");
    let names = vec![
        pki::SERVER_NAME.to_owned(),
        "dots.mobile.example".to_owned(),
    ];
    let server = ca
        .issue(&Profile {
            dns_names: names,
            ..Profile::server()
        })
        .server_config();
    let client = ca.issue(&Profile::client());
    let (config, other_config) = (client.client_config(), client.client_config());
    let mut first = Pair::with(server.clone(), &config, pki::SERVER_NAME, None);
    first.settle();
    let state = first.client.resumption().unwrap();

    for (config, name, resumed) in [
        (&config, pki::SERVER_NAME, true),
        (&config, "dots.mobile.example", false),
        (&other_config, pki::SERVER_NAME, false),
    ] {
        let mut second = Pair::with(server.clone(), config, name, Some(&state));
        second.settle();
        assert_eq!(second.client_saw.peer.unwrap().resumed, resumed, "{name}");
        // A ticket that does not belong here is not even shown.
        assert_eq!(second.trace[0].1.len() > 500, resumed, "{name}");
    }
}

///
#[test]
fn a_session_is_not_resumed_after_a_certificate_has_expired() {
    let ca = Ca::new("test CA");
    let lasting = |profile| ca.issue(&profile);
    let in_time = |seconds| {
        let soon = common::real_now() + Duration::from_secs(seconds + 1);
        let not_after = pki::seconds_from_now(seconds);
        let brief = |profile| {
            ca.issue(&Profile {
                not_after: &not_after,
                ..profile
            })
        };
        let [by_client, by_server] = [
            (brief(Profile::server()), lasting(Profile::client())),
            (lasting(Profile::server()), brief(Profile::client())),
        ]
        .map(|(server, client)| {
            let (server, client) = (server.server_config(), client.client_config());
            let mut pair = Pair::with(server.clone(), &client, pki::SERVER_NAME, None);
            pair.settle();
            Some((server, client, pair.client.resumption()?))
        });
        Some((soon, [by_client?, by_server?]))
    };
    let (soon, cases) = common::BRIEF.into_iter().find_map(in_time).unwrap();
    common::wait_until(soon);
    let [by_client, by_server] = cases.map(|(server, client, state)| {
        let mut pair = Pair::with(server, &client, pki::SERVER_NAME, Some(&state));
        pair.settle();
        assert!(!pair.established());
        (
            pair.client_saw.closed.unwrap(),
            pair.server_saw.closed.unwrap(),
        )
    });
    let expired = |peer| {
        CloseReason::PeerCertificate(CertificateProblem {
            peer,
            fault: CertificateFault::Expired(X509Code(10)),
        })
    };
    let alert = |peer| CloseReason::Alert {
        peer,
        alert: AlertCode::CERTIFICATE_EXPIRED,
    };
    assert_eq!(by_client, (expired(Role::Server), alert(Role::Client)));
    assert_eq!(by_server, (alert(Role::Server), expired(Role::Client)));
}

#[test]
fn a_lost_datagram_is_made_up_for_wherever_it_is_lost() {
    let (server, client) = pki::server_and_client();
    let mut lossless = Pair::of(&server, &client);
    lossless.settle();
    let datagrams = lossless.trace.len();
    assert!(datagrams >= 6);

    let mut pairs: Vec<_> = (0..datagrams)
        .map(|lost| {
            let mut pair = Pair::of(&server, &client);
            pair.lose = vec![lost];
            pair.settle();
            assert!(!pair.established(), "datagram {lost} was not needed");
            pair
        })
        .collect();
    // All of them wait for the same second of OpenSSL's clock.
    for (lost, pair) in pairs.iter_mut().enumerate() {
        for _ in 0..6 {
            if !pair.established() {
                pair.wait_for_timer();
            }
        }
        assert!(pair.established(), "without datagram {lost}");
    }
}

/// RFC 6347 §4.2.1: a ServerHello with the number of the HelloVerifyRequest would be taken for its replay.
#[test]
fn after_a_lost_first_hello_one_retransmission_is_enough() {
    for lost in [0, 1] {
        let mut pair = Pair::good();
        pair.lose = vec![lost];
        pair.settle();
        assert!(!pair.established());
        pair.wait_for_timer();
        assert!(pair.established(), "without datagram {lost}");
    }
}

#[test]
fn a_server_that_never_answers_times_out() {
    let mut pair = Pair::good();
    let deadline = SessionSettings::default().handshake_deadline;
    assert!(pair.client.poll_timeout().unwrap() <= pair.now + Duration::from_secs(1));

    pair.client
        .handle_timeout(pair.now + deadline - Duration::from_millis(1));
    while pair.client.poll_output().is_some_and(|output| {
        assert!(!matches!(output, dtls::Output::Closed(_)));
        true
    }) {}
    pair.client.handle_timeout(pair.now + deadline);
    assert_eq!(
        pair.client.poll_output(),
        Some(dtls::Output::Closed(CloseReason::HandshakeTimedOut))
    );
    assert_eq!(pair.client.poll_output(), None);
    assert_eq!(pair.client.poll_timeout(), None);
    assert_eq!(pair.client.send(pair.now, b"late"), Err(SendError::Closed));
}

#[test]
fn close_notify_closes_both_ends() {
    let mut pair = Pair::good();
    pair.settle();
    assert_eq!(pair.client.poll_timeout(), None);
    pair.client.close(pair.now);
    pair.settle();
    assert_eq!(pair.client_saw.closed, Some(CloseReason::Local));
    assert_eq!(pair.server_saw.closed, Some(CloseReason::PeerClosed));
    let now = pair.now;
    assert_eq!(pair.server().send(now, b"late"), Err(SendError::Closed));
    pair.client.close(now);
    assert_eq!(
        pair.client.poll_output(),
        None,
        "closing twice says nothing"
    );
}

#[test]
fn closing_during_the_handshake_is_quiet() {
    let mut pair = Pair::good();
    pair.client.close(pair.now);
    pair.settle();
    assert_eq!(pair.client_saw.closed, Some(CloseReason::Local));
    assert!(pair.server.is_none());
}

///
#[test]
fn a_replayed_record_is_delivered_once() {
    let mut pair = Pair::good();
    pair.settle();
    pair.client.send(pair.now, b"once").unwrap();
    pair.settle();
    let (_, datagram) = pair.trace.last().unwrap().clone();
    pair.deliver(Direction::ToServer, &datagram);
    pair.settle();
    assert_eq!(pair.server_saw.data, [b"once"]);
    assert_eq!(pair.server().counters().ignored, 1);
}

/// The runtime moves sessions to the task that serves them.
#[test]
fn sessions_can_move_between_threads() {
    fn movable<T: Send>() {}
    movable::<OpensslSession>();
    movable::<Acceptor>();
    movable::<ClientConfig>();
    movable::<ResumptionState>();
}
