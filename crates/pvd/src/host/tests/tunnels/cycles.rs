//! Tunnels that would need themselves.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Covers: P-044. Everything said from home's address goes into it, also what asks home's resolver.
#[test]
fn a_tunnel_that_takes_what_its_own_network_needs_is_refused_with_the_cycle() {
    let mut rig = Rig::new(Settings::default(), 1);
    rig.address(&[OUTER]);
    rig.hear(ROUTER, &askable("home.example", 1));
    let mut all = facts("office.example");
    all.reaches = vec!["::/0".parse().unwrap()];
    told(&mut rig, "ipsec0", all.clone());
    // From the addresses of the tunnel alone.
    assert_eq!(standing(&rig, "office.example").refusal, None);
    all.sources = vec!["::/0".parse().unwrap()];
    told(&mut rig, "ipsec0", all);
    assert_eq!(
        standing(&rig, "office.example").to_string(),
        "refused: it would need itself: home.example on fixed0 itself is carried by office.example on ipsec0 itself, \
         which is carried by home.example on fixed0 itself"
    );
}

/// Covers: P-044. What was there stays.
#[test]
fn of_two_tunnels_through_each_other_the_later_one_is_refused() {
    let mut rig = Rig::new(Settings::default(), 1);
    let mut first = facts("a.example");
    first.ends = vec![ends("10.2.0.5", "10.2.0.1")];
    let mut second = facts("b.example");
    second.addresses = vec!["10.2.0.5".parse().unwrap()];
    second.ends = vec![ends("10.9.0.5", "10.1.0.1")];
    told(&mut rig, "tun1", first);
    told(&mut rig, "tun0", second);
    rig.address_on("tun1", &["10.9.0.5"]);
    rig.address_on("tun0", &["10.2.0.5"]);
    assert_eq!(standing(&rig, "a.example").refusal, None);
    assert_eq!(
        standing(&rig, "b.example").to_string(),
        "refused: it would need itself: b.example on tun0 itself is carried by a.example on tun1 itself, \
         which is carried by b.example on tun0 itself"
    );
    end(&mut rig, "tun1", "a.example");
    assert_eq!(standing(&rig, "b.example").refusal, None);
}

/// Covers: P-044
#[test]
fn a_tunnel_does_not_carry_itself() {
    let mut rig = Rig::new(Settings::default(), 1);
    let mut looped = facts("office.example");
    looped.ends = vec![ends("10.9.0.5", "10.1.0.1")];
    told(&mut rig, "ipsec0", looped);
    rig.address_on("ipsec0", &["10.9.0.5"]);
    let said = standing(&rig, "office.example").to_string();
    assert!(
        said.contains("office.example on ipsec0 itself is carried by office.example"),
        "{said}"
    );
}

/// Four tunnels, each from home's address or from the inner one of any of them; those that are refused by a model of its own: in the order
/// in which they came, whoever is carried by himself over those that are not refused.
fn refused_by_model(there: &[(usize, usize)]) -> Vec<usize> {
    let mut carriers: BTreeMap<usize, usize> = BTreeMap::new();
    let mut refused = Vec::new();
    for (tunnel, outer) in there {
        let Some(carrier) = outer.checked_sub(1) else {
            continue;
        };
        let mut place = there
            .iter()
            .any(|(it, _)| *it == carrier)
            .then_some(carrier);
        while let Some(at) = place.filter(|at| at != tunnel) {
            place = carriers.get(&at).copied();
        }
        match place {
            Some(_) => refused.push(*tunnel),
            None => drop(carriers.insert(*tunnel, carrier)),
        }
    }
    refused
}

proptest! {
    /// Covers: P-044. Whatever comes and goes in whatever order: refused is who closes a cycle, and nothing of him is used.
    #[test]
    fn a_tunnel_is_refused_exactly_while_it_closes_a_cycle(steps in prop::collection::vec((0..4_usize, prop::option::of(0..5_usize)), 1..30)) {
        let mut rig = Rig::new(Settings::default(), 1);
        rig.address(&[OUTER]);
        rig.hear(ROUTER, &askable("home.example", 1));
        let mut there: Vec<(usize, usize)> = Vec::new();
        for (tunnel, outer) in steps {
            let (interface, pvd) = (format!("tun{tunnel}"), format!("t{tunnel}.example"));
            let before = there.iter().position(|(it, _)| *it == tunnel);
            let Some(outer) = outer else {
                end(&mut rig, &interface, &pvd);
                before.map(|place| there.remove(place));
                continue;
            };
            let mut one = facts(&pvd);
            let inner = |number: usize| format!("10.9.{number}.5");
            one.addresses = vec![inner(tunnel).parse().unwrap()];
            one.ends = vec![match outer.checked_sub(1) {
                None => ends(OUTER, GATEWAY),
                Some(carrier) => ends(&inner(carrier), "192.0.2.1"),
            }];
            told(&mut rig, &interface, one);
            rig.address_on(&interface, &[&inner(tunnel)]);
            match before {
                Some(place) => there[place] = (tunnel, outer),
                None => there.push((tunnel, outer)),
            }
            let mut refused = Vec::new();
            for (tunnel, _) in &there {
                let pvd = format!("t{tunnel}.example");
                let is_refused = standing(&rig, &pvd).refusal.is_some();
                prop_assert_eq!(used(&rig.view(&pvd)) == [0; 4], is_refused);
                refused.extend(is_refused.then_some(*tunnel));
            }
            prop_assert_eq!(refused, refused_by_model(&there));
        }
    }
}
