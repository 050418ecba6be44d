//! Each choice that RFC 9284 leaves, or where its founding draft (D04) says something else, with the
//! case that tells the choices apart.

use std::collections::BTreeSet;

use agent::server_selection::{
    Attack, Disclosure, Independent, Policy, Reason, SameProvider, SeenOn, Selection, select,
};
use dots::target::Target;
use pvd::{DotsAgent, DotsServer, ProvisioningDomain, PvdId, PvdSet};

use super::Established;

fn id(name: &str) -> PvdId {
    format!("{name}.example").parse().unwrap()
}

/// A PvD with one server, `dots.NAME`.
fn domain(name: &str, prefixes: &[&str]) -> ProvisioningDomain {
    ProvisioningDomain {
        prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
        dots_servers: vec![DotsServer::new(format!("dots.{name}"), &[])],
        ..ProvisioningDomain::new(id(name))
    }
}

/// An enterprise with two providers and addresses of its own besides (RFC 9284 §4.2).
fn enterprise() -> PvdSet {
    let mut set = PvdSet::default();
    set.insert(domain("isp1", &["203.0.113.0/24"]));
    set.insert(domain("isp2", &["198.51.100.0/24"]));
    set.insert_independent("192.0.2.0/24".parse().unwrap());
    set
}

/// Two attachments to the same provider.
fn same_provider() -> PvdSet {
    let mut set = PvdSet::default();
    for (name, prefix) in [("link1", "203.0.113.0/25"), ("link2", "203.0.113.128/25")] {
        set.insert(ProvisioningDomain {
            provider: Some("isp".to_owned()),
            ..domain(name, &[prefix])
        });
    }
    set
}

fn attack(targets: &[&str], seen_on: &[&str]) -> Attack {
    Attack {
        target: Target {
            prefixes: targets.iter().map(|text| text.parse().unwrap()).collect(),
            ..Target::default()
        },
        seen_on: seen_on.iter().map(|name| id(name)).collect(),
    }
}

fn with_sessions(names: &[&str]) -> Established {
    Established(names.iter().map(|name| (*name).to_owned()).collect())
}

/// `SERVER TARGET...` of each server that is asked.
fn asked(selection: &Selection) -> Vec<String> {
    let asked = selection.asked.iter().map(|asked| {
        let targets = asked.target.prefixes.iter().map(ToString::to_string);
        let words: Vec<String> = [asked.association.server.clone()]
            .into_iter()
            .chain(targets)
            .collect();
        words.join(" ")
    });
    asked.collect()
}

fn why_not<'a>(selection: &'a Selection, name: &str) -> &'a Reason {
    let mut not_asked = selection.not_asked.iter();
    &not_asked.find(|not| not.pvd == id(name)).unwrap().reason
}

fn policy(choose: impl FnOnce(&mut Policy)) -> Policy {
    let mut policy = Policy::default();
    choose(&mut policy);
    policy
}

fn decide(attack: &Attack, set: &PvdSet, policy: &Policy) -> Selection {
    select(attack, set, policy, &with_sessions(&[]))
}

/// Covers: M-013, M-014, M-018. D04 §5.2 lets a client ask any one.
#[test]
fn an_independent_target_goes_to_every_provider_and_by_the_draft_to_one() {
    let (set, attack) = (enterprise(), attack(&["192.0.2.7"], &[]));
    let all = decide(&attack, &set, &Policy::default());
    assert_eq!(
        asked(&all),
        ["dots.isp1 192.0.2.7/32", "dots.isp2 192.0.2.7/32"]
    );
    assert_eq!(all.asked[0].reasons[0].section(), "RFC 9284 §5.2");

    let policy = policy(|policy| policy.independent = Independent::One);
    let one = decide(&attack, &set, &policy);
    assert_eq!(asked(&one), ["dots.isp1 192.0.2.7/32"]);
    assert_eq!(
        *why_not(&one, "isp2"),
        Reason::OneIsEnough { asked: id("isp1") }
    );
    // Preferably one that can be asked now.
    let second = select(&attack, &set, &policy, &with_sessions(&["dots.isp2"]));
    assert_eq!(asked(&second), ["dots.isp2 192.0.2.7/32"]);
}

/// Covers: M-005, M-008. What is assigned is not affected by what else is independent.
#[test]
fn independent_and_assigned_targets_of_one_attack_are_told_apart() {
    let attack = attack(&["192.0.2.7", "198.51.100.7"], &[]);
    let selection = decide(&attack, &enterprise(), &Policy::default());
    assert_eq!(
        asked(&selection),
        [
            "dots.isp1 192.0.2.7/32",
            "dots.isp2 192.0.2.7/32 198.51.100.7/32"
        ]
    );
}

/// Covers: M-007. D04 §5.1: received from one network, only that one is asked.
#[test]
fn where_an_attack_was_seen_decides_only_by_the_draft() {
    let set = enterprise();
    let attack = attack(&["192.0.2.7"], &["isp2"]);
    assert_eq!(decide(&attack, &set, &Policy::default()).asked.len(), 2);
    let policy = policy(|policy| policy.seen_on = SeenOn::Decides);
    let narrowed = decide(&attack, &set, &policy);
    assert_eq!(asked(&narrowed), ["dots.isp2 192.0.2.7/32"]);
    assert_eq!(*why_not(&narrowed, "isp1"), Reason::NotSeenThere);
    // An assigned target has one network that can help, wherever somebody thinks to see the attack.
    let assigned = self::attack(&["203.0.113.7"], &["isp2"]);
    assert_eq!(
        asked(&decide(&assigned, &set, &policy)),
        ["dots.isp1 203.0.113.7/32"]
    );
}

/// Covers: M-006, M-024. D04 only says that such a request cannot be honoured.
#[test]
fn what_nobody_assigned_is_told_to_others_only_with_consent() {
    let (set, attack) = (enterprise(), attack(&["100.64.0.7"], &[]));
    let refused = decide(&attack, &set, &Policy::default());
    assert!(refused.asked.is_empty());
    assert_eq!(refused.unprotected[0].reason, Reason::AssignedByNobody);
    let policy = policy(|policy| policy.disclosure = Disclosure::Consented);
    let told = decide(&attack, &set, &policy);
    assert_eq!(
        asked(&told),
        ["dots.isp1 100.64.0.7/32", "dots.isp2 100.64.0.7/32"]
    );
    assert_eq!(told.asked[0].reasons[0].section(), "RFC 9284 §6");
}

/// Covers: M-016, M-022. A client of Figure 8 is given a filter for each server.
#[test]
fn a_preference_selects_among_those_that_may_be_asked_for_a_prefix() {
    let set = enterprise();
    let mut policy = Policy::default();
    policy.prefer(
        "192.0.2.0/25".parse().unwrap(),
        BTreeSet::from([id("isp2")]),
    );
    let selection = decide(&attack(&["192.0.2.0/24"], &[]), &set, &policy);
    assert_eq!(
        asked(&selection),
        [
            "dots.isp1 192.0.2.128/25",
            "dots.isp2 192.0.2.128/25 192.0.2.0/25"
        ]
    );
    let inside = decide(&attack(&["192.0.2.7"], &[]), &set, &policy);
    let prefix = "192.0.2.0/25".parse().unwrap();
    assert_eq!(
        *why_not(&inside, "isp1"),
        Reason::OthersPreferred { prefix }
    );
}

/// Covers: M-006, M-024. A typing error in a policy does not send a target to the wrong network.
#[test]
fn a_preference_for_a_network_that_did_not_assign_the_prefix_needs_consent() {
    let (set, attack) = (enterprise(), attack(&["203.0.113.7"], &[]));
    let mut policy = Policy::default();
    let prefix = "203.0.113.0/24".parse().unwrap();
    policy.prefer(prefix, BTreeSet::from([id("isp2")]));
    let refused = decide(&attack, &set, &policy);
    assert!(refused.asked.is_empty());
    assert_eq!(
        refused.unprotected[0].reason,
        Reason::PreferredMayNot { prefix }
    );
    policy.disclosure = Disclosure::Consented;
    assert_eq!(
        asked(&decide(&attack, &set, &policy)),
        ["dots.isp2 203.0.113.7/32"]
    );
}

/// Covers: M-018, M-020, M-021, M-022, M-025. Figure 9: gateways on both routers.
#[test]
fn gateways_are_asked_all_at_once_without_a_filter_and_by_the_filter_with_one() {
    let gateways = |prefixes: [&[&str]; 2]| {
        let mut set = PvdSet::default();
        for (name, prefixes) in ["isp1", "isp2"].into_iter().zip(prefixes) {
            set.insert(ProvisioningDomain {
                dots_agent: DotsAgent::ClientDomainGateway,
                ..domain(name, prefixes)
            });
        }
        set
    };
    let attack = attack(&["203.0.113.7"], &[]);
    let unfiltered = decide(&attack, &gateways([&[], &[]]), &Policy::default());
    assert_eq!(
        asked(&unfiltered),
        ["dots.isp1 203.0.113.7/32", "dots.isp2 203.0.113.7/32"]
    );
    assert_eq!(unfiltered.asked[0].reasons[0].section(), "RFC 9284 §5.3");
    let filters: [&[&str]; 2] = [&["203.0.113.0/24"], &["198.51.100.0/24"]];
    let filtered = decide(&attack, &gateways(filters), &Policy::default());
    assert_eq!(asked(&filtered), ["dots.isp1 203.0.113.7/32"]);
    assert_eq!(*why_not(&filtered, "isp2"), Reason::AssignedNone);
}

/// Covers: M-023. One or all attachments, as the administrator likes (RFC 9284 §5.4).
#[test]
fn of_several_attachments_to_one_provider_one_or_all_are_asked() {
    let (set, attack) = (same_provider(), attack(&["203.0.113.7"], &[]));
    let one = |sessions: &[&str]| {
        let selection = select(&attack, &set, &Policy::default(), &with_sessions(sessions));
        asked(&selection)
    };
    assert_eq!(one(&[]), ["dots.link1 203.0.113.7/32"]);
    assert_eq!(
        one(&["dots.link1", "dots.link2"]),
        ["dots.link1 203.0.113.7/32"]
    );
    // The provider is the same: its other server can be asked while this one cannot.
    assert_eq!(one(&["dots.link2"]), ["dots.link2 203.0.113.7/32"]);

    let policy = policy(|policy| policy.same_provider = SameProvider::All);
    let all = decide(&attack, &set, &policy);
    assert_eq!(
        asked(&all),
        ["dots.link1 203.0.113.7/32", "dots.link2 203.0.113.7/32"]
    );
    assert_eq!(
        all.asked[1].reasons,
        [Reason::AssignedByProvider {
            target: "203.0.113.7/32".parse().unwrap(),
            by: id("link1"),
        }]
    );
}

/// Covers: M-026. DOTS may exist on some of the links only.
#[test]
fn a_network_without_dots_leaves_its_targets_unprotected_and_others_alone() {
    let mut set = enterprise();
    set.insert(ProvisioningDomain {
        dots_servers: vec![],
        ..domain("isp2", &["198.51.100.0/24"])
    });
    let both = attack(&["203.0.113.7", "198.51.100.7"], &[]);
    let selection = decide(&both, &set, &Policy::default());
    assert_eq!(asked(&selection), ["dots.isp1 203.0.113.7/32"]);
    assert_eq!(*why_not(&selection, "isp2"), Reason::NoDotsServer);
    assert_eq!(selection.unprotected[0].reason, Reason::NoDotsServer);
    let independent = decide(&attack(&["192.0.2.7"], &[]), &set, &Policy::default());
    assert_eq!(asked(&independent), ["dots.isp1 192.0.2.7/32"]);
    assert!(independent.unprotected.is_empty());
}

/// Covers: M-008. An inner prefix is its owner's, though an outer one surrounds it.
#[test]
fn a_wide_target_is_split_where_a_longer_prefix_belongs_to_another() {
    let mut set = enterprise();
    set.insert(domain("isp2", &["203.0.113.192/26"]));
    let selection = decide(&attack(&["203.0.113.0/24"], &[]), &set, &Policy::default());
    assert_eq!(
        asked(&selection),
        [
            "dots.isp1 203.0.113.0/25 203.0.113.128/26",
            "dots.isp2 203.0.113.192/26"
        ]
    );
}
