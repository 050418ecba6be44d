//! Nobody answers, or not everybody does: what is in use stays.

use std::time::Duration;

use discovery::Output;
use pvd::Learned;

use crate::procedure::{Network, at, domain, endpoints, ri, settings, zones};
use crate::support::Zones;

#[test]
fn silence_takes_nothing_away_and_an_answer_does() {
    let mut network = Network::new(Some(vec![domain()]), Some(zones()), settings());
    network.finding();
    network.zones = None;
    assert_eq!(network.run(Duration::from_secs(3600)), []);
    network.zones = Some(Zones::new(60));
    assert_eq!(
        network.run(Duration::from_secs(1800)).first(),
        Some(&Output::Nothing)
    );
}

/// The interface got another address, or flapped, in the middle of an attack: a second procedure begins on the same network.
#[test]
fn what_an_earlier_procedure_found_serves_on_in_silence() {
    let by_dhcp = vec![ri("dots.fixed.example"), at(&["2001:db8::1"])];
    for options in [by_dhcp, vec![domain()]] {
        let finding = Network::new(Some(options), Some(zones()), settings()).finding();
        let mut settings = settings();
        settings.in_use = Some(finding);
        let mut network = Network::new(None, None, settings.clone());
        assert_eq!(network.run(Duration::from_secs(7200)), []);
        settings.domain = Some("fixed.example".parse().unwrap());
        let mut network = Network::new(None, None, settings.clone());
        assert_eq!(network.run(Duration::from_secs(7200)), []);
        // A network that answers, and names nobody, has nobody.
        let mut network = Network::new(Some(vec![]), None, settings);
        assert_eq!(network.run(Duration::from_secs(3)), [Output::Nothing; 0]);
        network.zones = Some(Zones::new(60));
        let events = network.run(Duration::from_secs(3600));
        assert_eq!(events.first(), Some(&Output::Nothing));
    }
}

fn names(events: &[Output]) -> Vec<Vec<String>> {
    let of = |event: &Output| match event {
        Output::Found(finding) => endpoints(finding)
            .into_iter()
            .map(|(name, _)| name)
            .collect(),
        other => panic!("{other:?}"),
    };
    events.iter().map(of).collect()
}

/// An attack lets some answers through and others not.
#[test]
fn a_server_whose_address_nobody_tells_is_not_taken_away() {
    let mut zones = Zones::new(300);
    let browsed = "_dots-signal._udp.fixed.example";
    for name in ["a", "b"] {
        let instance = format!("{name}.{browsed}");
        zones
            .ptr(browsed, &instance)
            .srv(&format!("{instance} 0 0 4646 {name}.fixed.example"))
            .address(&format!("{name}.fixed.example"), "2001:db8::a");
    }
    let mut network = Network::new(Some(vec![domain()]), Some(zones), settings());
    let found = names(&network.run(Duration::from_secs(30)));
    assert_eq!(found[0].len(), 2);
    network.lost = vec!["b.fixed.example".to_owned()];
    let events = names(&network.run(Duration::from_secs(3600)));
    // It is asked again, soon and then ever more rarely, and not only when the records are over.
    assert!((12..=40).contains(&events.len()), "{}", events.len());
    for mut event in events {
        event.sort();
        assert_eq!(event, ["a.fixed.example", "b.fixed.example"]);
    }
    network.lost.clear();
    network.run(Duration::from_secs(900));
    network.zones = Some({
        let mut zones = Zones::new(300);
        let instance = format!("a.{browsed}");
        zones
            .ptr(browsed, &instance)
            .srv(&format!("{instance} 0 0 4646 a.fixed.example"))
            .address("a.fixed.example", "2001:db8::a");
        zones
    });
    let events = names(&network.run(Duration::from_secs(900)));
    assert_eq!(events.last().unwrap(), &["a.fixed.example"]);
}

/// Who can keep the name that DHCP gave from being resolved does not thereby choose the server (RFC 8973 §8).
#[test]
fn a_lower_place_does_not_replace_a_higher_one_that_is_silent() {
    let options = vec![
        domain(),
        ri("dots.other.example"),
        (32, 600_u32.to_be_bytes().to_vec()),
    ];
    let mut zones = zones();
    zones.address("dots.other.example", "2001:db8::d");
    let mut network = Network::new(Some(options), Some(zones), settings());
    assert_eq!(network.finding().how, Learned::Dhcpv6);
    network.lost = vec!["dots.other.example".to_owned()];
    let events = network.run(Duration::from_secs(700));
    let Some(Output::Found(last)) = events.last() else {
        panic!("{events:?}");
    };
    assert_eq!(last.how, Learned::Dhcpv6);
    let names: Vec<_> = endpoints(last).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["dots.other.example", "fixed.example"]);

    // Nor does it where the DHCP server itself is silent after a restart.
    let mut settings = settings();
    settings.in_use = Some(last.clone());
    settings.domain = Some("fixed.example".parse().unwrap());
    let mut network = Network::new(None, Some(self::zones()), settings);
    assert_eq!(network.finding().agents[0], last.agents[0]);
}
