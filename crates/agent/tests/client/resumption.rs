//! What resumes a session reaches the next one with the same server (RFC 9132 §4.7).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use agent::Now;
use agent::client::{Action, Client, Connection, Connector, PathId, Snapshot};
use agent::server_selection::{AssociationId, Policy};
use agent::session::SessionParameters;
use dots::identifiers::Cuid;
use dtls::{Output, SendError, Session, Transport};
use pvd::{DotsServer, ProvisioningDomain, PvdSet};

use crate::world::{self, BYE, ClearSession, HELLO, WELCOME, seconds};

/// The state of a session is its number.
struct Numbered {
    session: ClearSession,
    number: u32,
    established: bool,
}

impl Session for Numbered {
    type Resumption = u32;

    fn handle_datagram(&mut self, now: Instant, datagram: &[u8]) {
        self.session.handle_datagram(now, datagram);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    fn send(&mut self, now: Instant, data: &[u8]) -> Result<(), SendError> {
        self.session.send(now, data)
    }

    fn close(&mut self, now: Instant) {
        self.session.close(now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        let output = self.session.poll_output();
        self.established |= matches!(output, Some(Output::Established(_)));
        output
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.session.poll_timeout()
    }

    fn transport(&self) -> Transport {
        self.session.transport()
    }

    fn data_limit(&self) -> usize {
        self.session.data_limit()
    }

    fn resumption(&self) -> Option<u32> {
        self.established.then_some(self.number)
    }
}

/// Opens numbered sessions and notes which each resumes.
struct Numbering {
    parameters: SessionParameters,
    resumed: Rc<RefCell<Vec<Option<u32>>>>,
}

impl Connector for Numbering {
    type Session = Numbered;

    fn connect(
        &mut self,
        now: Instant,
        _: &AssociationId,
        _: Connection<'_>,
        resumption: Option<&u32>,
    ) -> Result<Numbered, dtls::ConfigError> {
        let mut resumed = self.resumed.borrow_mut();
        resumed.push(resumption.copied());
        Ok(Numbered {
            session: ClearSession::new(now, world::peer("server", 9)),
            number: u32::try_from(resumed.len()).unwrap(),
            established: false,
        })
    }

    fn cuid(&self, _: &AssociationId) -> Cuid {
        "cuid".parse().unwrap()
    }

    fn parameters(&self) -> &SessionParameters {
        &self.parameters
    }
}

struct Bench {
    client: Client<Numbering>,
    resumed: Rc<RefCell<Vec<Option<u32>>>>,
    now: Now,
    /// Sockets that a HELLO came from and that were not answered.
    waiting: Vec<PathId>,
    open: Vec<PathId>,
}

impl Bench {
    fn new() -> Self {
        let now = Now {
            monotonic: world::origin(),
            unix: 0,
        };
        let mut pvds = PvdSet::default();
        pvds.insert(ProvisioningDomain {
            prefixes: vec!["203.0.113.0/28".parse().unwrap()],
            addresses: vec![super::home::own("203.0.113.1")],
            dots_servers: vec![DotsServer::over(
                "dots.fixed.example".to_owned(),
                &["192.0.2.1:4646".parse().unwrap()],
                &[pvd::Transport::Udp],
            )],
            ..ProvisioningDomain::new("fixed.example".parse().unwrap())
        });
        let resumed = Rc::default();
        let connector = Numbering {
            parameters: SessionParameters::default(),
            resumed: Rc::clone(&resumed),
        };
        let mut bench = Self {
            client: Client::new(
                now,
                connector,
                (pvds, Policy::default()),
                Snapshot::default(),
                5,
                7,
            ),
            resumed,
            now,
            waiting: Vec::new(),
            open: Vec::new(),
        };
        bench.advance(Duration::ZERO);
        bench
    }

    fn advance(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        self.settle();
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= end) {
            self.now.monotonic = due.max(self.now.monotonic);
            self.client.handle_timeout(self.now);
            self.settle();
        }
        self.now.monotonic = end;
    }

    fn settle(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::Transmit(path, datagram) if datagram.first() == Some(&HELLO) => {
                    self.waiting.push(path);
                }
                Action::OpenPath { path, .. } => self.open.push(path),
                Action::ClosePath(path) => self.open.retain(|open| *open != path),
                _ => {}
            }
        }
    }

    fn say(&mut self, path: PathId, octet: u8) {
        self.client.handle_datagram(self.now, path, &[octet]);
        self.settle();
    }

    fn establish(&mut self) -> PathId {
        let path = self.waiting.pop().expect("a set-up");
        self.say(path, WELCOME);
        path
    }

    fn resumed(&self) -> Vec<Option<u32>> {
        self.resumed.borrow().clone()
    }
}

/// Covers: S-067, X-004
#[test]
fn a_session_that_was_closed_is_resumed() {
    let mut bench = Bench::new();
    for _ in 0..3 {
        let path = bench.establish();
        bench.advance(seconds(61));
        bench.say(path, BYE);
        bench.advance(Duration::ZERO);
    }
    assert_eq!(bench.resumed(), [None, Some(1), Some(2), Some(3)]);
}

/// Covers: S-067
#[test]
fn a_session_whose_peer_is_silent_is_resumed() {
    let mut bench = Bench::new();
    bench.establish();
    while bench.resumed().len() < 2 {
        bench.advance(seconds(10));
    }
    assert_eq!(bench.resumed(), [None, Some(1)]);
}

/// The server was away, and may have kept the keys of its tickets.
#[test]
fn set_ups_without_an_answer_do_not_forget_the_session() {
    let mut bench = Bench::new();
    let path = bench.establish();
    bench.say(path, BYE);
    while bench.resumed().len() < 4 {
        bench.advance(seconds(10));
    }
    assert_eq!(bench.resumed(), [None, Some(1), Some(1), Some(1)]);
}

#[test]
fn a_refusal_is_followed_by_a_set_up_from_scratch() {
    let mut bench = Bench::new();
    let path = bench.establish();
    bench.say(path, BYE);
    bench.advance(seconds(61));
    let path = bench.waiting.pop().expect("a second set-up");
    bench.say(path, BYE);
    bench.advance(seconds(61));
    assert_eq!(bench.resumed(), [None, Some(1), None]);
}
