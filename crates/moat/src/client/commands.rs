//! Commands of the control socket, carried out on the agent.

use std::time::{Duration, Instant};

use agent::Now;
use agent::client::{Client, Connector, Refusal, RequestId};
use agent::server_selection::{Attack, SeenOn};
use dots::lifetime::Lifetime;
use dots::mitigation::AttackStatus;
use dots::target::Target;
use serde_json::json;
use tokio::sync::oneshot;

use super::ANSWER_WITHIN;
use super::networks::Networks;
use crate::control::{
    self, Announcement, Answer, Call, Command, Failure, NotStoredView, RequestView, SelectionView,
    SessionView,
};
use crate::words;

/// Commands whose answer waits for servers.
#[derive(Debug)]
pub(super) struct Commands {
    default_lifetime: Duration,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    request: RequestId,
    /// What the caller said in vain.
    note: Option<String>,
    until: Instant,
    answer: oneshot::Sender<Answer>,
}

impl Commands {
    pub(super) fn new(default_lifetime: Duration) -> Self {
        Self {
            default_lifetime,
            waiting: Vec::new(),
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.waiting.iter().map(|waiting| waiting.until).min()
    }

    /// Carries out a command. One that servers must answer is finished by [`Commands::finish`].
    /// `not_stored`: what keeps the state from the disk.
    pub(super) fn start<C: Connector>(
        &mut self,
        now: Now,
        (agent, networks): (&mut Client<C>, &mut Networks),
        not_stored: Option<NotStoredView>,
        call: Call,
    ) {
        let note = ignored(agent, &call.command);
        let begun = match call.command {
            Command::Mitigate {
                targets,
                ports,
                protocols,
                lifetime,
                preconfigured,
                seen_on,
            } => self
                .target(&targets, &ports, &protocols, lifetime.as_deref())
                .and_then(|(target, lifetime)| {
                    let attack = attack(agent, target, &seen_on)?;
                    agent
                        .mitigate(now, &attack, lifetime, !preconfigured)
                        .map_err(|refusal| refused(&refusal))
                }),
            Command::Withdraw { request } => {
                let id = RequestId(request);
                let begun = agent.withdraw(now, id).map(|()| id);
                begun.map_err(|refusal| match going_on(agent, id) {
                    Err(how_it_ended) => how_it_ended,
                    Ok(()) => refused(&refusal),
                })
            }
            Command::Efficacy { request, attack } => {
                let id = RequestId(request);
                let status = match attack {
                    control::Attack::UnderAttack => AttackStatus::UnderAttack,
                    control::Attack::Stopped => AttackStatus::AttackSuccessfullyMitigated,
                };
                going_on(agent, id).and_then(|()| {
                    let begun = agent.report_efficacy(now, id, status).map(|()| id);
                    begun.map_err(|refusal| refused(&refusal))
                })
            }
            Command::Status => {
                let sessions = agent.sessions();
                let view = |report| {
                    let mut view = RequestView::new(report, now.monotonic);
                    view.follow(&sessions);
                    view
                };
                let requests: Vec<_> = agent.requests().iter().map(view).collect();
                let mut view = json!({ "requests": requests });
                if let Some(trouble) = not_stored {
                    view["not_stored"] = json!(trouble);
                }
                Err(Answer::of(&view))
            }
            Command::Explain { targets, seen_on } => {
                let target = self.target(&targets, &[], &[], None);
                let attack = target.and_then(|(target, _)| attack(agent, target, &seen_on));
                Err(attack.map_or_else(
                    |refusal| refusal,
                    |attack| {
                        let explained = agent.explain(&attack);
                        let view = SelectionView::explained(&explained, agent.pvds());
                        let note = note.clone();
                        Answer::of(&SelectionView { note, ..view })
                    },
                ))
            }
            Command::Announce {
                interface,
                announcement,
            } => Err(announce(now.monotonic, networks, &interface, &announcement)),
            Command::Sessions => Err(Answer::of(&json!({
                "sessions": agent
                    .sessions()
                    .iter()
                    .map(|report| SessionView::new(report, now.monotonic))
                    .collect::<Vec<_>>(),
            }))),
        };
        match begun {
            Ok(request) => self.waiting.push(Waiting {
                request,
                note,
                until: now.monotonic + ANSWER_WITHIN,
                answer: call.answer,
            }),
            // A caller that has gone away needs no answer.
            Err(answer) => drop(call.answer.send(answer)),
        }
    }

    /// Answers those whose servers have answered, or who have waited long enough.
    pub(super) fn finish<C: Connector>(&mut self, now: Now, agent: &Client<C>) {
        let done = |waiting: &mut Waiting| {
            waiting.until <= now.monotonic || agent.is_settled(waiting.request)
        };
        for waiting in self.waiting.extract_if(.., done) {
            let answer = match agent.request(waiting.request) {
                Some(report) => {
                    let mut view = RequestView::new(&report, now.monotonic);
                    view.follow(&agent.sessions());
                    view.replace(&agent.requests());
                    view.note = waiting.note;
                    Answer::of(&view)
                }
                None => Answer::failure(&Refusal::NoSuchRequest(waiting.request)),
            };
            drop(waiting.answer.send(answer));
        }
    }

    fn target(
        &self,
        targets: &[String],
        ports: &[String],
        protocols: &[String],
        lifetime: Option<&str>,
    ) -> Result<(Target, Lifetime), Answer> {
        let read = || -> Result<(Target, Lifetime), words::Error> {
            let lifetime = match lifetime {
                Some(text) => words::lifetime(text)?,
                None => words::lifetime(&self.default_lifetime.as_secs().to_string())?,
            };
            Ok((words::target(targets, ports, protocols)?, lifetime))
        };
        let (target, lifetime) = read().map_err(|error| Answer::failure(&error))?;
        if target.prefixes.is_empty() {
            return Err(Answer::failure(&"name at least one address or prefix"));
        }
        Ok((target, lifetime))
    }
}

/// What is attacked, seen on PvDs that there are.
fn attack<C: Connector>(
    agent: &Client<C>,
    target: Target,
    seen_on: &[String],
) -> Result<Attack, Answer> {
    let known = |name: &String| {
        let id = name
            .parse()
            .ok()
            .filter(|id| agent.pvds().get(id).is_some());
        id.ok_or_else(|| {
            let ids = agent.pvds().iter().map(|domain| domain.id.to_string());
            let ids = ids.collect::<Vec<_>>().join(", ");
            Answer::wrong_use(format!("there is no PvD {name}; there are {ids}"))
        })
    };
    Ok(Attack {
        target,
        seen_on: seen_on.iter().map(known).collect::<Result<_, _>>()?,
    })
}

/// Says of a command where an attack was seen that nobody listens to that.
fn ignored<C: Connector>(agent: &Client<C>, command: &Command) -> Option<String> {
    let (Command::Mitigate { seen_on, .. } | Command::Explain { seen_on, .. }) = command else {
        return None;
    };
    let is_ignored = !seen_on.is_empty() && agent.policy().seen_on == SeenOn::Ignored;
    let text = "--seen-on changes nothing: the prefix decides (RFC 9284 §5.1), unless the client's file has \
                seen_on = \"decides\" in [selection]";
    is_ignored.then(|| text.to_owned())
}

/// Says of a request that nothing can be done with whether it never was, or how it ended.
fn going_on<C: Connector>(agent: &Client<C>, id: RequestId) -> Result<(), Answer> {
    let Some(report) = agent.request(id) else {
        let reason = format!("there is no request {id}; `moat status` lists them");
        return Err(Answer::failure(&reason));
    };
    match control::end(&report) {
        Some(end) => Err(Answer::failure(&format!("request {id} has ended: {end}"))),
        None => Ok(()),
    }
}

fn refused(refusal: &Refusal) -> Answer {
    let reason = refusal.to_string();
    let selection = match refusal {
        Refusal::NobodyToAsk(selection) => Some(SelectionView::new(selection)),
        _ => None,
    };
    Answer::Error(Failure {
        reason,
        selection: selection.map(Box::new),
        is_wrong_use: false,
    })
}

fn announce(
    now: Instant,
    networks: &mut Networks,
    interface: &str,
    announcement: &Announcement,
) -> Answer {
    let interface = match interface.parse() {
        Ok(interface) => interface,
        Err(pvd::InterfaceNameError) => return Answer::failure(&pvd::InterfaceNameError),
    };
    match networks.announce(now, &interface, announcement) {
        Ok(()) => Answer::of(&json!({ "pvd": announcement.pvd.to_string() })),
        Err(refusal) => Answer::failure(&refusal),
    }
}

#[cfg(test)]
mod tests {
    use agent::client::Snapshot;
    use agent::server_selection::Policy;
    use pvd::{DotsServer, ProvisioningDomain, PvdSet};
    use tokio::sync::mpsc;

    use super::super::connector::OpensslConnector;
    use super::super::connector::tests::{connector, server};
    use super::super::names::Names;
    use super::*;
    use crate::config::ClientConfig;

    fn networks() -> Networks {
        let config = ClientConfig {
            state: "state".into(),
            control: "control".into(),
            lifetime: Duration::from_secs(3600),
            requests: 10,
            heartbeat: None,
            pvds: Vec::new(),
            independent: Vec::new(),
            policy: Policy::default(),
            routing: None,
            provisioning: None,
            warnings: Vec::new(),
        };
        let names = Names::new(&config, mpsc::channel(1).0).unwrap();
        let ends = (&mpsc::channel(1).0, mpsc::channel(1).0);
        let now = crate::clock::now().monotonic;
        Networks::new(&config, &names, ends, now)
    }

    fn asked_for(
        agent: &mut Client<OpensslConnector>,
        now: Now,
        command: Command,
    ) -> Option<Answer> {
        let mut commands = Commands::new(Duration::from_secs(3600));
        let (answer, mut answered) = oneshot::channel();
        let call = Call { command, answer };
        commands.start(now, (&mut *agent, &mut networks()), None, call);
        commands.finish(now, agent);
        answered.try_recv().ok()
    }

    /// Covers: M-028. The network may come back, and with it the request.
    #[test]
    fn what_is_wanted_of_a_network_that_is_gone_can_be_withdrawn() {
        let now = crate::clock::now();
        let id = server("fixed.example", "dots.fixed.example");
        let mut pvds = PvdSet::default();
        pvds.insert(ProvisioningDomain {
            prefixes: vec!["203.0.113.0/28".parse().unwrap()],
            dots_servers: vec![DotsServer::over(
                id.server.clone(),
                &["192.0.2.1:4646".parse().unwrap()],
                &[pvd::Transport::Udp],
            )],
            ..ProvisioningDomain::new(id.pvd.clone())
        });
        let mut agent = Client::new(
            now,
            connector(&[(&id, "home")], &[]),
            (pvds.clone(), Policy::default()),
            Snapshot::default(),
            10,
            7,
        );
        let target = words::target(&["203.0.113.7".to_owned()], &[], &[]).unwrap();
        let lifetime = words::lifetime("3600").unwrap();
        let request = agent.mitigate(now, &target.into(), lifetime, true).unwrap();
        agent.set_pvds(now, PvdSet::default());
        let withdraw = || Command::Withdraw { request: request.0 };
        let answer = asked_for(&mut agent, now, withdraw());
        assert!(matches!(answer, Some(Answer::Ok(_))), "{answer:?}");
        agent.set_pvds(now, pvds);
        let report = agent.request(request).unwrap();
        let asks = |part: &agent::client::PartReport| part.state == agent::client::State::Asking;
        assert!(!report.parts.iter().any(asks), "{report:?}");
        let answer = asked_for(&mut agent, now, withdraw());
        assert!(matches!(answer, Some(Answer::Error(_))), "{answer:?}");
        let answer = asked_for(&mut agent, now, Command::Withdraw { request: 99 });
        assert!(matches!(answer, Some(Answer::Error(_))), "{answer:?}");
    }
}
