//! What an event costs: the parts that are looked at do not become more with those there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use coap::{Code, Message, MessageId, MessageType, OptionNumber, Options};
use dots::identifiers::{Cuid, Mid};
use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{DroppedCounters, Granted, MitigationReport, MitigationStatus, Status};
use dots::path::Resource;
use dots::target::Target;
use dtls::{CloseReason, Credential, Output, SendError, Transport};
use pvd::{DotsServer, ProvisioningDomain, PvdSet};

use super::parts::effort;
use super::{Action, Client, Connection, Connector, PathId, RequestId, Snapshot, State};
use crate::server_selection::{AssociationId, Policy};
use crate::session::SessionParameters;
use crate::time::Now;

/// Where the servers are.
const FIRST: &str = "192.0.2.1";
const SECOND: &str = "192.0.2.2";

/// Parts that one event may look at, each as often as it is.
const FEW: u64 = 24;

/// A session without a handshake: what comes first establishes it.
#[derive(Debug)]
struct Plain {
    is_open: bool,
    outputs: VecDeque<Output>,
}

impl dtls::Session for Plain {
    type Resumption = ();

    fn handle_datagram(&mut self, _: Instant, datagram: &[u8]) {
        let peer = dtls::Peer {
            credential: Credential::Certificate {
                spki_sha256: [1; 32],
                subject: "CN=dots.example".to_owned(),
                common_name: None,
                dns_names: vec!["dots.example".to_owned()],
            },
            resumed: false,
        };
        self.outputs.push_back(match self.is_open {
            true => Output::Data(datagram.to_vec()),
            false => Output::Established(peer),
        });
        self.is_open = true;
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn send(&mut self, _: Instant, data: &[u8]) -> Result<(), SendError> {
        self.outputs.push_back(Output::Transmit(data.to_vec()));
        Ok(())
    }

    fn close(&mut self, _: Instant) {
        self.outputs.push_back(Output::Closed(CloseReason::Local));
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn transport(&self) -> Transport {
        Transport::Datagram
    }

    fn data_limit(&self) -> usize {
        1152
    }

    fn resumption(&self) -> Option<()> {
        None
    }
}

struct Opener(SessionParameters);

impl Connector for Opener {
    type Session = Plain;

    fn connect(
        &mut self,
        _: Instant,
        _: &AssociationId,
        _: Connection<'_>,
        _: Option<&()>,
    ) -> Result<Plain, dtls::ConfigError> {
        Ok(Plain {
            is_open: false,
            outputs: VecDeque::from([Output::Transmit(Vec::new())]),
        })
    }

    fn cuid(&self, _: &AssociationId) -> Cuid {
        "home".parse().unwrap()
    }

    fn parameters(&self) -> &SessionParameters {
        &self.0
    }
}

/// A client with many requests, and a server that grants all.
struct Busy {
    client: Client<Opener>,
    now: Now,
    /// What has no answer yet; `None`: the first of a session.
    asked: VecDeque<(PathId, Option<Message>)>,
    next_id: u16,
    /// The first observation.
    observation: Option<(PathId, Message)>,
    /// The most parts that one call looked at, since this was taken.
    effort: u64,
    /// Servers that want to be asked later.
    busy: BTreeSet<&'static str>,
    remotes: BTreeMap<PathId, String>,
}

impl Busy {
    #[allow(clippy::disallowed_methods)] // a virtual clock needs one instant to start from
    fn new(requests: u64) -> Self {
        let mut set = PvdSet::default();
        let servers = ["dots.example", "backup.example"];
        set.insert(ProvisioningDomain {
            prefixes: vec!["2001:db8:f::/48".parse().unwrap()],
            dots_servers: servers
                .into_iter()
                .zip(["192.0.2.1:4646", "192.0.2.2:4646"])
                .map(|(name, address)| {
                    let addresses = [address.parse().unwrap()];
                    DotsServer::over(name.to_owned(), &addresses, &[pvd::Transport::Udp])
                })
                .collect(),
            ..ProvisioningDomain::new("fixed.example".parse().unwrap())
        });
        let now = Now {
            monotonic: Instant::now(),
            unix: 0,
        };
        let (network, stored) = ((set, Policy::default()), Snapshot::default());
        let opener = Opener(SessionParameters::default());
        let mut busy = Self {
            client: Client::new(now, opener, network, stored, usize::MAX, 1),
            now,
            asked: VecDeque::new(),
            next_id: 0,
            observation: None,
            effort: 0,
            busy: BTreeSet::new(),
            remotes: BTreeMap::new(),
        };
        busy.wait(Duration::from_millis(1));
        for number in 0..requests {
            busy.mitigate(number);
            busy.wait(Duration::from_millis(1));
        }
        busy.wait(Duration::from_secs(1));
        busy
    }

    /// Calls the client, and carries out what it wants done.
    fn call<T>(&mut self, call: impl FnOnce(&mut Client<Opener>, Now) -> T) -> T {
        effort::take();
        let result = call(&mut self.client, self.now);
        self.client.poll_timeout();
        self.effort = self.effort.max(effort::take());
        while let Some(action) = self.client.poll_action() {
            match action {
                Action::OpenPath { path, remote, .. } => {
                    self.remotes.insert(path, remote.ip().to_string());
                }
                Action::Transmit(path, octets) => {
                    self.asked.push_back((path, Message::decode(&octets).ok()));
                }
                _ => {}
            }
        }
        result
    }

    /// Lets time pass, with every timeout at its instant, and the server answer everything at once.
    fn wait(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        loop {
            while let Some((path, message)) = self.asked.pop_front() {
                match message {
                    Some(message) => self.serve(path, &message),
                    None => self.call(|client, now| client.handle_datagram(now, path, &[])),
                }
            }
            match self.client.poll_timeout().filter(|at| *at <= end) {
                Some(at) => self.now.monotonic = at.max(self.now.monotonic),
                None => break,
            }
            self.call(|client, now| client.handle_timeout(now));
        }
        self.now.monotonic = end;
    }

    fn serve(&mut self, path: PathId, asked: &Message) {
        let segments: Result<Vec<&str>, _> = asked.options.uri_path().collect();
        let mid = match Resource::parse(segments.unwrap()) {
            Ok(Resource::Mitigate { mid: Some(mid), .. }) => mid,
            _ => return self.reply(path, asked, Code::CHANGED, Vec::new()),
        };
        match asked.code {
            Code::PUT if self.busy.contains(self.remotes[&path].as_str()) => {
                self.reply(path, asked, Code::SERVICE_UNAVAILABLE, Vec::new());
            }
            Code::PUT => {
                let granted = Granted {
                    mid,
                    lifetime: Lifetime::Indefinite,
                    conflict: None,
                };
                self.reply(path, asked, Code::CREATED, granted.encode());
            }
            Code::GET => {
                if asked.options.observe() == Some(0) && self.observation.is_none() {
                    self.observation = Some((path, asked.clone()));
                }
                self.tell(path, asked, mid);
            }
            _ => self.reply(path, asked, Code::DELETED, Vec::new()),
        }
    }

    fn tell(&mut self, path: PathId, asked: &Message, mid: Mid) {
        let status = MitigationStatus {
            mid,
            target: Target::default(),
            trigger_mitigation: None,
            mitigation_start: Some(0),
            status: Status::AttackMitigationInProgress,
            lifetime: RemainingLifetime::Indefinite,
            counters: DroppedCounters::default(),
            conflict: None,
        };
        let report = MitigationReport(vec![status]).encode();
        self.reply(path, asked, Code::CONTENT, report);
    }

    fn reply(&mut self, path: PathId, asked: &Message, code: Code, payload: Vec<u8>) {
        self.next_id = self.next_id.wrapping_add(1);
        let mut options = Options::new();
        if asked.options.observe() == Some(0) {
            options.push_uint(OptionNumber::OBSERVE, self.next_id.into());
        }
        let message = Message {
            message_type: MessageType::NonConfirmable,
            code,
            message_id: MessageId(self.next_id),
            token: asked.token,
            options,
            payload,
        };
        let octets = message.encode();
        self.call(|client, now| client.handle_datagram(now, path, &octets));
    }

    fn mitigate(&mut self, host: u64) -> RequestId {
        let prefix = format!("2001:db8:f::{:x}:{:x}/128", host >> 16, host & 0xffff);
        let target = Target {
            prefixes: vec![prefix.parse().unwrap()],
            ..Target::default()
        };
        let lifetime = Lifetime::Indefinite;
        let asked = self.call(|client, now| client.mitigate(now, &target.into(), lifetime, true));
        asked.unwrap()
    }

    /// The most parts that one call looked at meanwhile.
    fn effort_of(&mut self, events: impl FnOnce(&mut Self)) -> u64 {
        self.effort = 0;
        events(self);
        self.effort
    }
}

/// With a hundred and with thousands of requests, an event looks at what it is about.
#[test]
fn an_event_costs_what_it_changes() {
    for requests in [100, 3000] {
        let mut busy = Busy::new(requests);
        let accepted = busy.client.requests();
        let is_accepted = |state: &State| matches!(state, State::Accepted(_));
        assert!(
            accepted
                .iter()
                .all(|it| it.parts.iter().all(|part| is_accepted(&part.state)))
        );
        let (path, get) = busy.observation.clone().unwrap();
        let stray = busy.effort_of(|busy| {
            busy.call(|client, now| client.handle_datagram(now, path, &[0]));
        });
        let notification = busy.effort_of(|busy| busy.tell(path, &get, Mid(1)));
        // Heartbeats, and all that cannot be observed asked after.
        let time = busy.effort_of(|busy| busy.wait(Duration::from_secs(31)));
        let again = busy.effort_of(|busy| {
            busy.mitigate(7);
            busy.wait(Duration::from_millis(1));
        });
        let asked = busy.effort_of(|busy| {
            busy.mitigate(requests);
            busy.wait(Duration::from_millis(1));
        });
        let withdrawn = busy.effort_of(|busy| {
            busy.call(|client, now| client.withdraw(now, RequestId(3)))
                .unwrap();
            busy.wait(Duration::from_millis(1));
        });
        let efforts = [stray, notification, time, again, asked, withdrawn];
        assert!(
            efforts.iter().all(|effort| *effort <= FEW),
            "{requests}: {efforts:?}"
        );
    }
}

/// The same while servers are busy, with a part of each request at both: put off, and asked for at the other meanwhile.
#[test]
fn an_event_costs_what_it_changes_while_requests_are_put_off() {
    for (busy_ones, requests) in [
        (&[FIRST][..], 100),
        (&[FIRST], 2000),
        (&[FIRST, SECOND], 100),
        (&[FIRST, SECOND], 2000),
    ] {
        let mut busy = Busy::new(0);
        busy.busy.extend(busy_ones);
        // All are refused within the minute for which the first is put off.
        let asked = busy.effort_of(|busy| {
            for number in 0..requests {
                busy.mitigate(number);
                busy.wait(Duration::from_millis(1));
            }
        });
        let time = busy.effort_of(|busy| busy.wait(Duration::from_secs(50)));
        assert!(
            asked <= 2 * FEW && time <= 2 * FEW,
            "{busy_ones:?}, {requests}: {asked}, {time}"
        );
    }
}
