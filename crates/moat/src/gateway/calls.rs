//! What a gateway answers at its control socket: its server's side and its client's in one.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::Daemon;
use crate::control::{Answer, Call, Command};
use crate::server::Inside;
use crate::words;

/// For which mitigations inside each request upstream is, by its number.
type Relayed = BTreeMap<u64, Vec<String>>;

impl Daemon {
    /// Who asks how things stand is told of both sides.
    pub(super) fn on_call(&mut self, inside: &Inside, call: Call) {
        match call.command {
            Command::Explain { targets, seen_on } => {
                let targets = self.seen_outside(targets);
                let command = Command::Explain { targets, seen_on };
                let answer = call.answer;
                self.outside.on_call(Call { command, answer });
            }
            Command::Announce { .. } => self.outside.on_call(call),
            Command::Status | Command::Sessions => {
                let relayed = match call.command {
                    Command::Status => self.relayed(),
                    _ => Relayed::new(),
                };
                let (answer, outer) = oneshot::channel();
                let command = call.command.clone();
                self.outside.on_call(Call { command, answer });
                let (answer, inner) = oneshot::channel();
                inside.call(Call {
                    command: call.command,
                    answer,
                });
                tokio::task::spawn_local(async move {
                    let both = match (inner.await, outer.await) {
                        (Ok(inner), Ok(outer)) => join(inner, outer, &relayed),
                        _ => Answer::failure(&"the gateway is stopping"),
                    };
                    // A caller that has gone away needs no answer.
                    drop(call.answer.send(both));
                });
            }
            Command::Mitigate { .. } | Command::Efficacy { .. } | Command::Withdraw { .. } => {
                let answer = Answer::failure(
                    &"this is the control socket of a gateway, which asks for what its clients ask; \
                      name a client's socket with --control",
                );
                drop(call.answer.send(answer));
            }
        }
    }

    /// What servers are asked for instead of these targets; what cannot be read is left for the client to refuse.
    fn seen_outside(&self, targets: Vec<String>) -> Vec<String> {
        let Ok(inside) = words::target(&targets, &[], &[]) else {
            return targets;
        };
        let seen = self.gateway.outside(&inside).prefixes;
        seen.iter().map(ToString::to_string).collect()
    }

    fn relayed(&self) -> Relayed {
        let name = |key: &agent::server::MitigationKey| {
            format!("{} {} mid {}", key.customer, key.cuid, key.mid)
        };
        let relayed = self.gateway.relayed();
        relayed
            .map(|(request, keys)| (request.0, keys.into_iter().map(name).collect()))
            .collect()
    }
}

/// What the server says, and beside it what the client says: its sessions are those upstream.
fn join(inside: Answer, outside: Answer, relayed: &Relayed) -> Answer {
    match (inside, outside) {
        (Answer::Ok(Value::Object(mut inside)), Answer::Ok(Value::Object(outside))) => {
            for (key, mut value) in outside {
                let key = match key.as_str() {
                    "sessions" => "upstream".to_owned(),
                    "requests" => {
                        name_owners(&mut value, relayed);
                        key
                    }
                    _ => key,
                };
                inside.insert(key, value);
            }
            Answer::Ok(Value::Object(inside))
        }
        (refusal @ Answer::Error(_), _) | (_, refusal) => refusal,
    }
}

/// Says of each request for whom it is.
fn name_owners(requests: &mut Value, relayed: &Relayed) {
    for request in requests.as_array_mut().into_iter().flatten() {
        let number = request["request"].as_u64();
        if let Some(owners) = number.and_then(|number| relayed.get(&number)) {
            request["relayed_for"] = json!(owners);
        }
    }
}
