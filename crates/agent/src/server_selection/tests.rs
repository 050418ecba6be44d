use super::*;
use pvd::{DotsServer, ProvisioningDomain};

struct AllDown;

impl SessionStates for AllDown {
    fn is_established(&self, _: &AssociationId) -> bool {
        false
    }
}

struct Only(&'static str);

impl SessionStates for Only {
    fn is_established(&self, association: &AssociationId) -> bool {
        association.server == self.0
    }
}

fn domain(id: &str, prefixes: &[&str], servers: &[&str]) -> ProvisioningDomain {
    ProvisioningDomain {
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        dots_servers: servers
            .iter()
            .map(|name| DotsServer::new((*name).to_owned(), &[]))
            .collect(),
        ..ProvisioningDomain::new(id.parse().unwrap())
    }
}

fn home() -> PvdSet {
    let mut set = PvdSet::default();
    let fixed = ["203.0.113.0/28", "2001:db8:f:100::/56"];
    set.insert(domain("fixed.example", &fixed, &["dots.fixed.example"]));
    let mobile = ["198.51.100.0/28", "2001:db8:a:100::/56"];
    set.insert(domain("mobile.example", &mobile, &["dots.mobile.example"]));
    set
}

/// As RFC 9284 has it.
fn select(target: &Target, pvds: &PvdSet, sessions: &impl SessionStates) -> Selection {
    super::select(&target.clone().into(), pvds, &Policy::default(), sessions)
}

fn target(prefixes: &[&str]) -> Target {
    Target {
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        ..Target::default()
    }
}

fn asked(selection: &Selection) -> Vec<(String, Vec<String>)> {
    selection
        .asked
        .iter()
        .map(|asked| {
            let prefixes = asked.target.prefixes.iter().map(ToString::to_string);
            (asked.association.server.clone(), prefixes.collect())
        })
        .collect()
}

/// Covers: M-005, M-006
#[test]
fn the_server_of_the_assigning_network_is_asked_and_no_other() {
    let selection = select(&target(&["203.0.113.7/32"]), &home(), &AllDown);
    let fixed = "dots.fixed.example".to_owned();
    assert_eq!(
        asked(&selection),
        [(fixed, vec!["203.0.113.7/32".to_owned()])]
    );
    assert_eq!(
        selection.not_asked,
        [NotAsked {
            pvd: "mobile.example".parse().unwrap(),
            server: Some("dots.mobile.example".to_owned()),
            reason: Reason::AssignedNone,
        }]
    );
}

/// Covers: M-007, M-008, M-027
#[test]
fn an_attack_on_both_networks_is_split_between_their_servers() {
    let both = target(&["203.0.113.7/32", "198.51.100.7/32", "2001:db8:a:100::7/128"]);
    let selection = select(&both, &home(), &AllDown);
    assert_eq!(
        asked(&selection),
        [
            (
                "dots.fixed.example".to_owned(),
                vec!["203.0.113.7/32".to_owned()]
            ),
            (
                "dots.mobile.example".to_owned(),
                vec![
                    "198.51.100.7/32".to_owned(),
                    "2001:db8:a:100::7/128".to_owned()
                ]
            ),
        ]
    );
    assert!(selection.not_asked.is_empty());
}

/// Covers: M-006
#[test]
fn what_nobody_assigned_goes_to_nobody() {
    let selection = select(&target(&["192.0.2.1/32"]), &home(), &AllDown);
    assert!(selection.asked.is_empty());
    assert_eq!(selection.not_asked.len(), 2);
    assert_eq!(selection.unprotected[0].reason, Reason::AssignedByNobody);
}

/// Covers: M-006
#[test]
fn what_is_left_of_a_wide_target_is_told() {
    let wide = target(&["203.0.113.0/24", "198.51.100.0/28"]);
    let selection = select(&wide, &home(), &AllDown);
    assert_eq!(
        asked(&selection)[0].1,
        ["203.0.113.0/28"],
        "what somebody assigned is asked for"
    );
    let [left] = &selection.unprotected[..] else {
        panic!("{:?}", selection.unprotected);
    };
    assert_eq!(left.prefix.to_string(), "203.0.113.0/24");
    let words = left.reason.to_string();
    assert_eq!(
        words,
        "no provider assigned 203.0.113.16/28, 203.0.113.32/27, 203.0.113.64/26, 203.0.113.128/25 of it"
    );
}

/// Several networks may assign all of a target between them.
#[test]
fn a_target_that_several_assign_together_leaves_nothing() {
    let mut set = PvdSet::default();
    set.insert(domain("one.example", &["203.0.113.0/25"], &["a.example"]));
    set.insert(domain("two.example", &["203.0.113.128/25"], &["b.example"]));
    let selection = select(&target(&["203.0.113.0/24"]), &set, &AllDown);
    assert_eq!((selection.asked.len(), selection.unprotected.len()), (2, 0));
}

/// Covers: M-023, M-026
#[test]
fn one_server_of_a_provider_is_asked_preferably_one_with_a_session() {
    let mut set = PvdSet::default();
    let servers = ["one.example", "two.example"];
    set.insert(domain("fixed.example", &["203.0.113.0/28"], &servers));
    set.insert(domain("other.example", &["198.51.100.0/28"], &[]));
    let both = target(&["203.0.113.7/32", "198.51.100.7/32"]);
    assert_eq!(asked(&select(&both, &set, &AllDown))[0].0, "one.example");
    let selection = select(&both, &set, &Only("two.example"));
    assert_eq!(asked(&selection)[0].0, "two.example");
    assert_eq!(
        selection.not_asked[0].reason,
        Reason::SameProvider {
            asked: "two.example".to_owned()
        }
    );
    assert_eq!(selection.not_asked[1].reason, Reason::NoDotsServer);
    assert_eq!(
        selection.unprotected[0].prefix.to_string(),
        "198.51.100.7/32"
    );
}
