//! Anything may come in any order: what must hold then.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Hear {
        interface: usize,
        router: u8,
        id: u8,
        number: Option<u16>,
        delay: u8,
        prefix: u8,
        lifetime: u32,
    },
    Address {
        interface: usize,
        prefixes: Vec<u8>,
    },
    Attach {
        interface: usize,
    },
    Detach {
        interface: usize,
    },
    Answer {
        order: prop::sample::Index,
        outcome: u8,
        validity: u32,
    },
    Wait {
        milliseconds: u32,
    },
    SetClock {
        seconds: i32,
    },
    Bring {
        id: u8,
        is_given: bool,
        prefix: u8,
        validity: u32,
    },
}

const INTERFACES: [&str; 2] = ["fixed0", "mobile0"];

fn step() -> impl Strategy<Value = Step> {
    let interface = || 0..INTERFACES.len();
    prop_oneof![
        8 => (interface(), 0..3_u8, 0..20_u8, prop::option::weighted(0.9, 0..3_u16), 0..16_u8, 0..3_u8, 0..40_u32).prop_map(
            |(interface, router, id, number, delay, prefix, lifetime)| Step::Hear { interface, router, id, number, delay, prefix, lifetime }
        ),
        1 => (interface(), prop::collection::vec(0..3_u8, 0..3)).prop_map(|(interface, prefixes)| Step::Address { interface, prefixes }),
        1 => interface().prop_map(|interface| Step::Attach { interface }),
        1 => interface().prop_map(|interface| Step::Detach { interface }),
        5 => (any::<prop::sample::Index>(), 0..6_u8, 1..100_u32).prop_map(|(order, outcome, validity)| Step::Answer { order, outcome, validity }),
        4 => (0..20_000_u32).prop_map(|milliseconds| Step::Wait { milliseconds }),
        1 => (0..20_u8, any::<bool>(), 0..3_u8, 1..100_u32).prop_map(
            |(id, is_given, prefix, validity)| Step::Bring { id, is_given, prefix, validity }
        ),
        1 => (-100..100_i32).prop_map(|seconds| Step::SetClock { seconds }),
    ]
}

/// What the specification asks, kept by another hand than the host's.
#[derive(Default)]
struct Observer {
    seen: usize,
    announced: BTreeMap<(String, String), bool>,
    failed: BTreeMap<String, Vec<String>>,
}

impl Observer {
    fn check(&mut self, rig: &Rig) {
        for (position, (at, order)) in rig.orders.iter().enumerate().skip(self.seen) {
            let (interface, id) = (order.interface.to_string(), order.pvd.to_string());
            let announced = self.announced.get(&(interface.clone(), id.clone()));
            assert_eq!(announced, Some(&true), "asked without the H-flag");
            let failed = self.failed.entry(interface).or_default();
            assert!(!failed.contains(&id), "asked again after a failure");
            assert!(failed.len() < 10, "asked after ten failures");
            let earlier = rig.orders[..position].iter().filter(|(then, earlier)| {
                earlier.interface == order.interface && *at - *then < seconds(10)
            });
            let earlier: Vec<_> = earlier.collect();
            assert!(earlier.len() < 5, "asked six times in ten seconds");
            assert!(
                earlier.iter().all(|(_, earlier)| earlier.pvd != order.pvd),
                "asked twice in ten seconds"
            );
            assert!(!order.sources.is_empty() && !order.resolvers.is_empty());
        }
        self.seen = rig.orders.len();
        for view in rig.host.domains(rig.now) {
            assert!(view.routers.len() <= 2 && view.prefixes.len() <= 2);
            let lasting = view.prefixes.iter().map(|prefix| prefix.until);
            let lasting = lasting.chain(view.routers.iter().map(|router| router.until));
            assert!(
                lasting.flatten().all(|until| until > rig.now.instant),
                "kept beyond its lifetime"
            );
            let Some(information) = view.information else {
                continue;
            };
            assert!(
                information.content.expires > rig.now.system,
                "kept beyond its end"
            );
            assert_eq!(Some(&information.content.identifier), view.identity.id());
            let covers = |prefix: &Lasting<Prefix>| information.content.covers(&prefix.what.prefix);
            assert!(view.prefixes.iter().all(covers), "used against a prefix");
        }
        assert!(rig.host.shelf(rig.now).count() <= 6);
        let mut count: BTreeMap<_, usize> = BTreeMap::new();
        for view in rig.host.domains(rig.now) {
            *count.entry(view.interface).or_default() += 1;
        }
        assert!(count.values().all(|count| *count <= 6));
        assert!(rig.host.orders.len() <= 3);
    }
}

fn run(steps: Vec<Step>, seed: u64) {
    let limits = HostLimits {
        domains: 6,
        routers: 2,
        objects: 2,
        fetches: 3,
        attempts: 3,
        strangers: 64,
        shelf: 3,
    };
    let mut rig = Rig::new(
        Settings {
            limits,
            ..Settings::default()
        },
        seed,
    );
    let mut observer = Observer::default();
    for step in steps {
        match step {
            Step::Hear {
                interface,
                router,
                id,
                number,
                delay,
                prefix,
                lifetime,
            } => {
                let interface = INTERFACES[interface];
                let id = format!("p{id}.example");
                // What the host has not taken it need not know; so what it was told last counts.
                let key = (interface.to_owned(), id.clone());
                let options = [
                    prefix_for(
                        &format!("2001:db8:{prefix:x}::/64"),
                        Lifetime::Seconds(lifetime),
                    ),
                    resolver("2001:db8::53"),
                ];
                let advertised = delayed(&id, number.map(|number| (number, delay)), &options);
                observer.announced.insert(key, number.is_some());
                rig.hear_on(interface, &format!("fe80::{router:x}"), &advertised);
            }
            Step::Address {
                interface,
                prefixes,
            } => {
                let addresses: Vec<_> = prefixes
                    .iter()
                    .map(|prefix| format!("2001:db8:{prefix:x}::5"))
                    .collect();
                let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
                rig.address_on(INTERFACES[interface], &addresses);
            }
            Step::Attach { interface } => {
                observer.failed.remove(INTERFACES[interface]);
                rig.attach(INTERFACES[interface], LinkEvidence::Wired);
            }
            Step::Detach { interface } => {
                observer.failed.remove(INTERFACES[interface]);
                rig.host
                    .handle_detached(&name(INTERFACES[interface]), rig.now);
                rig.poll();
            }
            Step::Answer {
                order,
                outcome,
                validity,
            } => {
                if rig.orders.is_empty() {
                    continue;
                }
                let (_, order) = order.get(&rig.orders).clone();
                let is_open = rig.host.orders.contains_key(&order.number);
                let kind = [
                    FailureKind::Tls,
                    FailureKind::Http,
                    FailureKind::Object,
                    FailureKind::Unreachable,
                ]
                .get(usize::from(outcome));
                if let Some(kind) =
                    kind.filter(|kind| is_open && **kind != FailureKind::Unreachable)
                {
                    let _ = kind;
                    observer
                        .failed
                        .entry(order.interface.to_string())
                        .or_default()
                        .push(order.pvd.to_string());
                }
                let fetched = match kind {
                    Some(kind) => failed(*kind),
                    None => rig.object(
                        order.pvd.as_str(),
                        r#""2001:db8::/47""#,
                        seconds(validity.into()),
                    ),
                };
                rig.host.handle_fetched(order.number, fetched, rig.now);
                rig.poll();
            }
            Step::Bring {
                id,
                is_given,
                prefix,
                validity,
            } => {
                let provenance = match is_given {
                    true => Provenance::Given,
                    false => Provenance::Fetched,
                };
                let id = format!("p{id}.example");
                let prefix = format!("\"2001:db8:{prefix:x}::/48\"");
                let object = rig.signed(&id, &prefix, seconds(validity.into()), provenance);
                drop(rig.host.handle_object(object, rig.now));
                rig.poll();
            }
            Step::Wait { milliseconds: time } => rig.wait(milliseconds(time.into())),
            Step::SetClock { seconds: by } => {
                let time = seconds(by.unsigned_abs().into());
                match by > 0 {
                    true => rig.now.system += time,
                    false => rig.now.system -= time,
                }
                rig.host.handle_timeout(rig.now);
                rig.poll();
            }
        }
        observer.check(&rig);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Covers: P-015, P-021, P-025, P-026, P-047, P-048
    #[test]
    fn whatever_comes_the_host_asks_within_its_limits(steps in prop::collection::vec(step(), 1..120), seed: u64) {
        run(steps, seed);
    }
}
