//! Networks that come and go, providers that fall silent, refuse or have trouble, their other clients, restarts, clients that are
//! lost and clients that ask for common addresses, in an order that a seed gives.

use agent::server::{ConflictPolicy, Customer};
use coap::Code;
use dots::mitigation::Status;
use dots::target::TargetPrefix;
use pvd::PvdSet;

use super::net::*;
use crate::client::target;

const SEEDS: u64 = 64;
const STEPS: usize = 60;
/// Longer than a run.
const LIFETIME: u32 = 36_000;
/// What every provider takes that assigned it, or may carry it.
const GOOD: [&str; 5] = [FIXED, "203.0.113.0/28", MOBILE, OWN, "192.0.2.0/28"];
/// What one of them refuses.
const BAD: [&str; 2] = ["203.0.113.0/24", "192.0.2.0/24"];
const PROVIDERS: [&str; 2] = ["fixed", "mobile"];
/// For how long, in seconds, another client of a provider asks: shorter than the run's end.
const RIVALRY: u32 = 1200;
/// What those are told, of whom it is promised, whom nobody can protect for a while.
const PASSING: [Code; 4] = [
    Code::SERVICE_UNAVAILABLE,
    Code::INTERNAL_SERVER_ERROR,
    Code::BAD_GATEWAY,
    Code::CONFLICT,
];

const CLIENTS: [Inside; 4] = [
    HOME,
    BRANCH,
    Inside {
        customer: "home",
        number: 3,
    },
    Inside {
        customer: "branch",
        number: 4,
    },
];

/// Another client of each provider.
const RIVALS: [Inside; 2] = [
    Inside {
        customer: "rival",
        number: 8,
    },
    Inside {
        customer: "rival",
        number: 9,
    },
];

/// What a client wants.
struct Wanted {
    client: Inside,
    mid: u32,
    prefix: &'static str,
    is_immediate: bool,
    question: Option<Question>,
    is_promised: bool,
}

struct Churn {
    net: Net,
    dice: fastrand::Rng,
    wanted: Vec<Wanted>,
    mid: u32,
}

impl Wanted {
    fn ask(&self) -> Ask {
        let request = request(target(&[self.prefix]), LIFETIME, self.is_immediate);
        Ask::new(Code::PUT, self.client, self.mid).body(&request)
    }
}

fn prefix(text: &str) -> TargetPrefix {
    text.parse().unwrap()
}

/// The networks of the site without this one.
fn without(away: Option<&str>) -> PvdSet {
    let all = site();
    let mut pvds = PvdSet::default();
    for domain in all.iter() {
        let is_away = away.is_some_and(|name| domain.id.to_string().starts_with(name));
        if !is_away {
            pvds.insert(domain.clone());
        }
    }
    pvds.insert_independent("192.0.2.0/24".parse().unwrap());
    pvds
}

impl Churn {
    fn new(seed: u64) -> Self {
        let mut net = Net::new();
        let mut dice = fastrand::Rng::with_seed(seed);
        let on_conflict = dice.usize(..3);
        let now = net.now();
        let taken: [&[&str]; 2] = [
            &["203.0.113.0/28", "192.0.2.0/24"],
            &["198.51.100.0/24", "192.0.2.0/28"],
        ];
        for (name, taken) in PROVIDERS.into_iter().zip(taken) {
            let node = net.node(name);
            let prefixes = taken.iter().map(|text| text.parse().unwrap());
            let rival = Customer {
                name: "rival".to_owned(),
                ..node.plan.customers[0].clone()
            };
            node.plan.customers[0].prefixes = prefixes.collect();
            node.plan.customers.push(rival);
            node.plan.policy.on_conflict = [
                ConflictPolicy::Both,
                ConflictPolicy::Last,
                ConflictPolicy::First,
            ][on_conflict];
            node.start(now);
        }
        net.advance(120);
        Self {
            net,
            dice,
            wanted: Vec::new(),
            mid: 0,
        }
    }

    fn step(&mut self) {
        match self.dice.u8(..26) {
            0..8 => self.ask(),
            8..10 => self.refresh(),
            10..13 => self.withdraw(),
            13..16 => {
                let name = PROVIDERS[self.dice.usize(..2)];
                let node = self.net.node(name);
                node.is_cut_off = !node.is_cut_off;
            }
            16..19 => {
                let away = [None, Some("fixed"), Some("mobile")][self.dice.usize(..3)];
                self.net.set_pvds("g1", without(away));
            }
            19 => {
                self.net.restart("g1");
                self.give_up(|_| true);
            }
            20..22 => {
                let client = CLIENTS[self.dice.usize(..CLIENTS.len())];
                self.net.lose("g1", client);
                self.give_up(|one| one.client.number == client.number);
            }
            22..24 => {
                let codes = [Code::INTERNAL_SERVER_ERROR, Code::UNAUTHORIZED];
                let code = codes[self.dice.usize(..2)];
                let node = self.net.node(PROVIDERS[self.dice.usize(..2)]);
                node.trouble = node.trouble.xor(Some(code));
            }
            _ => {
                let place = self.dice.usize(..2);
                match self.dice.bool() {
                    true => {
                        self.mid += 1;
                        let text = GOOD[self.dice.usize(..GOOD.len())];
                        let ask = put_for(RIVALS[place], self.mid, &[text], RIVALRY);
                        self.net.send(PROVIDERS[place], RIVALS[place], ask);
                    }
                    false => self.end_rivalry(place),
                }
            }
        }
        let pause = self.dice.u64(..30);
        self.net.advance(if self.dice.bool() { 0 } else { pause });
        self.hear();
    }

    /// Nobody hears of what these clients asked last.
    fn give_up(&mut self, whose: impl Fn(&Wanted) -> bool) {
        let unheard = self
            .wanted
            .extract_if(.., |it| whose(it) && !it.is_promised);
        let unheard: Vec<Wanted> = unheard.collect();
        for one in unheard {
            self.delete(&one);
        }
        for one in self.wanted.iter_mut().filter(|it| whose(it)) {
            one.question = None;
        }
    }

    fn end_rivalry(&mut self, place: usize) {
        for mid in 1..=self.mid {
            let ask = delete(RIVALS[place], mid);
            self.net.send(PROVIDERS[place], RIVALS[place], ask);
        }
    }

    /// Of one client, nothing has addresses in common.
    fn ask(&mut self) {
        let client = CLIENTS[self.dice.usize(..CLIENTS.len())];
        let text = match self.dice.u8(..4) {
            0 => BAD[self.dice.usize(..BAD.len())],
            _ => GOOD[self.dice.usize(..GOOD.len())],
        };
        let mut own = self
            .wanted
            .iter()
            .filter(|it| it.client.number == client.number);
        if own.any(|it| prefix(it.prefix).overlaps(&prefix(text))) {
            return;
        }
        self.mid += 1;
        self.wanted.push(Wanted {
            client,
            mid: self.mid,
            prefix: text,
            is_immediate: self.dice.u8(..4) > 0,
            question: None,
            is_promised: false,
        });
        self.put(self.wanted.len() - 1);
    }

    fn put(&mut self, place: usize) {
        let one = &mut self.wanted[place];
        one.question = Some(self.net.send("g1", one.client, one.ask()));
    }

    fn refresh(&mut self) {
        if let Some(place) = self.any() {
            self.put(place);
        }
    }

    fn withdraw(&mut self) {
        let Some(place) = self.any() else { return };
        let one = self.wanted.swap_remove(place);
        self.delete(&one);
    }

    fn any(&mut self) -> Option<usize> {
        (!self.wanted.is_empty()).then(|| self.dice.usize(..self.wanted.len()))
    }

    fn delete(&mut self, one: &Wanted) {
        self.net
            .expect(one.client, delete(one.client, one.mid), Code::DELETED);
    }

    /// What was promised is never lost, and a refresh of it is refused at most for a while.
    fn hear(&mut self) {
        let mut over = Vec::new();
        for place in 0..self.wanted.len() {
            let question = self.wanted[place].question;
            let answer = question.and_then(|it| self.net.answer("g1", it));
            let one = &mut self.wanted[place];
            if let Some(response) = answer {
                one.question = None;
                let is_good = GOOD.contains(&one.prefix);
                if response.code.is_success() {
                    one.is_promised |= is_good;
                } else if !one.is_promised {
                    over.push(place);
                } else {
                    assert!(PASSING.contains(&response.code), "{}", response.code);
                }
            }
            let stored = &self.net.nodes["g1"].stored;
            let is_there = |one: &Wanted| {
                let mut keys = stored.keys();
                keys.any(|key| key.mid.0 == one.mid)
            };
            let one = &self.wanted[place];
            assert!(!one.is_promised || is_there(one), "{} is lost", one.prefix);
        }
        for place in over.into_iter().rev() {
            let one = self.wanted.swap_remove(place);
            self.delete(&one);
        }
    }

    /// When all is well again somebody protects each, and at last nobody anything.
    fn conclude(&mut self) {
        for (place, name) in PROVIDERS.into_iter().enumerate() {
            self.net.node(name).is_cut_off = false;
            self.net.node(name).trouble = None;
            self.end_rivalry(place);
        }
        self.net.set_pvds("g1", site());
        // Who has to wait for a rival's retry-timer has 45 s to ask again (RFC 9132 §4.4.1.3).
        for _ in 0..50 {
            for place in 0..self.wanted.len() {
                self.put(place);
            }
            self.net.advance(30);
            self.hear();
        }
        for one in &self.wanted {
            let stored = self.net.nodes["g1"].stored.values();
            let mut stored = stored.filter(|record| record.key.mid.0 == one.mid);
            let is_in_force = stored.any(|record| record.standing.is_in_force());
            if !GOOD.contains(&one.prefix) || !is_in_force && !one.is_immediate {
                continue;
            }
            let status = self.net.status_code(one.client, one.mid);
            assert_eq!(
                status,
                Status::AttackSuccessfullyMitigated,
                "{}",
                one.prefix
            );
            let owners: &[&str] = match one.prefix {
                MOBILE => &["mobile"],
                text if text.starts_with("203.") => &["fixed"],
                _ => &PROVIDERS,
            };
            // Together with what others ask for, one provider may refuse it.
            let protected = owners
                .iter()
                .flat_map(|owner| self.net.nodes[*owner].protected());
            let protected: Vec<TargetPrefix> = protected.map(|text| prefix(&text)).collect();
            let is_protected = protected.iter().any(|it| it.contains(&prefix(one.prefix)));
            assert!(is_protected, "{}: {protected:?}", one.prefix);
        }
        for one in std::mem::take(&mut self.wanted) {
            self.delete(&one);
        }
        self.net.advance(300);
        self.net.check(&[], &[]);
        assert!(
            self.net.node("g1").requests.is_empty(),
            "nothing is left behind"
        );
    }
}

/// Covers: M-010, G-017. A failing run is named by its seed.
#[test]
fn what_was_promised_outlives_any_churn_and_nothing_is_left_behind() {
    for seed in 0..SEEDS {
        println!("seed {seed}");
        let mut churn = Churn::new(seed);
        for _ in 0..STEPS {
            churn.step();
        }
        churn.conclude();
    }
}
