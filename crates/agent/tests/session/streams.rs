//! A signal channel session over TLS: CoAP over TCP, and nothing to be repeated (RFC 8323, RFC 9132
//! §4.5).

use std::time::Instant;

use agent::session::{Event, Negotiation, Output, SessionParameters, SignalSession};
use coap::{Code, Delivery, OptionNumber, Options, Request, Response};
use dots::configuration::{
    AcceptableConfiguration, AckTimeout, ConfigurationReport, ConfigurationRequest, Decimal,
    HeartbeatInterval, RequestedSet,
};
use dtls::{CloseReason, Transport};

use crate::world::{self, BYE, ClearSession, DATA, HELLO, LAST, WELCOME, seconds};

/// One end of a connection.
struct End {
    session: SignalSession<ClearSession>,
    sent: Vec<Vec<u8>>,
    events: Vec<Event>,
}

impl End {
    fn new(now: Instant, negotiation: Negotiation) -> Self {
        let parameters = SessionParameters {
            configuration: world::configuration(30, 15),
            negotiation,
            ..SessionParameters::default()
        };
        let secured = ClearSession::over_stream(now, world::peer("peer.example", 7));
        Self {
            session: SignalSession::new(now, secured, &parameters, 1),
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    fn collect(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Transmit(chunk) => self.sent.push(chunk),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn take_sent(&mut self) -> Vec<Vec<u8>> {
        self.collect();
        std::mem::take(&mut self.sent)
    }

    /// The octets after the handshake.
    fn take_octets(&mut self) -> Vec<u8> {
        let chunks = self.take_sent();
        let data = chunks.iter().filter(|chunk| chunk.first() == Some(&DATA));
        data.flat_map(|chunk| chunk.iter().skip(1).copied())
            .collect()
    }

    fn feed(&mut self, now: Instant, octets: &[u8]) {
        let chunk = [&[DATA], octets].concat();
        self.session.handle_datagram(now, &chunk);
        self.collect();
    }
}

/// Both ends, their handshake done.
fn pair(client: Negotiation, server: Negotiation) -> (Instant, End, End) {
    let now = world::origin();
    let mut ends = [End::new(now, client), End::new(now, server)];
    for end in &mut ends {
        assert_eq!(end.take_sent(), [[HELLO]], "nothing before the handshake");
        end.session.handle_datagram(now, &[WELCOME]);
    }
    let [client, server] = ends;
    (now, client, server)
}

/// Carries octets both ways, cut into single octets, until nothing is left.
fn exchange(now: Instant, client: &mut End, server: &mut End) {
    loop {
        let (up, down) = (client.take_octets(), server.take_octets());
        if up.is_empty() && down.is_empty() {
            return;
        }
        for octet in up {
            server.feed(now, &[octet]);
        }
        for octet in down {
            client.feed(now, &[octet]);
        }
    }
}

fn request(path: &str) -> Request {
    let mut options = Options::default();
    for segment in path.split('/') {
        options.push(OptionNumber::URI_PATH, segment.as_bytes());
    }
    Request {
        method: Code::GET,
        options,
        payload: Vec::new(),
        delivery: Delivery::NonRepeated,
    }
}

/// Covers: S-004
#[test]
fn requests_and_responses_pass_in_whatever_pieces_the_connection_brings_them() {
    let (now, mut client, mut server) = pair(Negotiation::Fixed, Negotiation::Fixed);
    let asked = request(".well-known/dots/mitigate/cuid=a");
    let token = client.session.send_request(now, asked.clone()).unwrap();
    exchange(now, &mut client, &mut server);
    let seen = server.events.pop();
    let Some(Event::Request {
        exchange: number,
        request,
        ..
    }) = seen
    else {
        panic!("{seen:?} instead of the request");
    };
    assert_eq!(request.options, asked.options);
    let response = Response {
        code: Code::NOT_FOUND,
        options: Options::default(),
        payload: b"nothing".to_vec(),
    };
    server.session.respond(now, number, response);
    exchange(now, &mut client, &mut server);
    let answered = client.events.pop();
    assert!(
        matches!(&answered, Some(Event::Response { token: of, response })
            if *of == token && response.payload == b"nothing"),
        "{answered:?}"
    );
}

/// A client that withdraws its last request and leaves is heard, also when both come at once.
#[test]
fn a_request_that_comes_with_the_farewell_comes_before_it() {
    let (now, mut client, mut server) = pair(Negotiation::Fixed, Negotiation::Fixed);
    exchange(now, &mut client, &mut server);
    let asked = request(".well-known/dots/mitigate/cuid=a");
    client.session.send_request(now, asked).unwrap();
    let last = [&[LAST], client.take_octets().as_slice()].concat();
    server.session.handle_datagram(now, &last);
    server.collect();
    let told = server.events.as_slice();
    assert!(
        matches!(
            told,
            [
                ..,
                Event::Request { .. },
                Event::Closed(CloseReason::PeerClosed)
            ]
        ),
        "{told:?}"
    );
}

/// Covers: S-060, S-071
#[test]
fn over_tcp_a_heartbeat_has_one_interval_to_be_answered_in() {
    let (now, mut client, mut server) = pair(Negotiation::Fixed, Negotiation::Fixed);
    exchange(now, &mut client, &mut server);
    client.session.handle_timeout(now + seconds(30));
    exchange(now + seconds(30), &mut client, &mut server);
    client.session.handle_timeout(now + seconds(60));
    client.collect();
    assert!(!client.session.is_peer_silent(), "the first was answered");
    client.session.handle_timeout(now + seconds(90));
    client.collect();
    assert!(client.session.is_peer_silent());
    let silent = |event: &Event| matches!(event, Event::PeerSilent);
    assert!(client.events.iter().any(silent));
}

/// Covers: S-060
#[test]
fn over_tcp_only_what_tcp_does_not_do_is_negotiated() {
    let mut wish = RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::new(60).unwrap()),
        ack_timeout: Some(AckTimeout::new(Decimal::from_hundredths(300)).unwrap()),
        ..RequestedSet::default()
    };
    let asked = ConfigurationRequest::new(wish, wish).unwrap();
    let server = Negotiation::Server(AcceptableConfiguration::default());
    let (now, mut client, mut server) = pair(Negotiation::Client(Some(asked)), server);
    exchange(now, &mut client, &mut server);
    for end in [&client, &server] {
        let set = end.session.configuration();
        assert_eq!(set.heartbeat_interval.get(), 60);
        assert_eq!(
            set.ack_timeout,
            world::configuration(30, 15).idle.ack_timeout
        );
    }
    let token = client
        .session
        .send_request(now, request(".well-known/dots/config"))
        .unwrap();
    exchange(now, &mut client, &mut server);
    let answer = client.events.iter().find_map(|event| match event {
        Event::Response {
            token: of,
            response,
        } if *of == token => Some(response),
        _ => None,
    });
    let report = ConfigurationReport::decode(&answer.unwrap().payload).unwrap();
    assert!(report.idle.heartbeat_interval.is_some());
    assert!(report.idle.missing_hb_allowed.is_none());
    assert!(report.idle.max_retransmit.is_none());
    // A wish for nothing but what TCP does by itself is no wish.
    wish.heartbeat_interval = None;
    let nothing = ConfigurationRequest::new(wish, wish).unwrap();
    assert_eq!(nothing.over_reliable_transport(), None);
}

/// Covers: S-004
#[test]
fn what_is_no_coap_ends_the_session_in_order() {
    let (now, mut client, mut server) = pair(Negotiation::Fixed, Negotiation::Fixed);
    exchange(now, &mut client, &mut server);
    // A token of 15 octets does not exist (RFC 8323 §3.2).
    server.feed(now, &[0x0f, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let closed = server.events.last();
    assert!(
        matches!(closed, Some(Event::Closed(CloseReason::Local))),
        "{closed:?}"
    );
    assert_eq!(server.take_sent().last(), Some(&vec![BYE]));
    assert_eq!(client.session.transport(), Transport::Stream);
}
