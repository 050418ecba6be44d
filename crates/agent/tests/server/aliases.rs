//! What a data channel has set up: aliases and accept-lists (RFC 9132 §4.4.1.3, RFC 8783).

use agent::server::{
    AcceptList, Alias, ClientKey, ClientResources, ConflictPolicy, Input, Policy, ResourcesError,
};
use coap::Code;
use dots::lifetime::Lifetime;
use dots::mitigation::{ConflictCause, ConflictStatus, MitigationRequest};
use dots::target::{PortRange, Protocol, Target};

use super::rig::{Ask, BRANCH, HOME, Rig, granted, policy, refusal, report, target, text_of};

const PATH: &str = "mitigate/cuid=one/mid=1";

fn client(customer: &str, cuid: &str) -> ClientKey {
    ClientKey {
        customer: customer.to_owned(),
        cuid: cuid.parse().unwrap(),
    }
}

fn shop() -> Target {
    Target {
        port_ranges: vec![PortRange::single(443)],
        protocols: vec![Protocol::TCP],
        ..target(&["203.0.113.7/32"])
    }
}

fn aliases(of: &[(&str, Target)]) -> ClientResources {
    let aliases = of
        .iter()
        .map(|(name, target)| (name.parse().unwrap(), Alias::new(target.clone()).unwrap()));
    ClientResources::new(aliases.collect(), Vec::new()).unwrap()
}

fn ask(path: &str, aliases: &[&str], explicit: Target) -> Ask {
    let target = Target {
        aliases: aliases.iter().map(|name| name.parse().unwrap()).collect(),
        ..explicit
    };
    let request = MitigationRequest::new(target, Lifetime::RECOMMENDED, true, None);
    Ask::put(path, request.unwrap().encode())
}

fn with_shop() -> Rig {
    let mut rig = Rig::new();
    rig.input(Input::SetResources(
        client("home", "one"),
        aliases(&[("shop", shop())]),
    ));
    rig
}

fn protected(rig: &Rig) -> Target {
    rig.enforced.values().next().unwrap().clone()
}

/// Covers: S-027, S-028
#[test]
fn an_alias_stands_for_its_resources() {
    let mut rig = with_shop();
    rig.expect(HOME, ask(PATH, &["shop"], Target::default()), Code::CREATED);
    assert_eq!(protected(&rig), shop());
    let shown = report(&rig.expect(HOME, Ask::get(PATH), Code::CONTENT));
    assert_eq!(shown.0[0].target.aliases, ["shop".parse().unwrap()]);
}

/// Covers: S-027. Of another client of the customer, of another customer, of nobody.
#[test]
fn an_alias_of_anybody_else_is_refused() {
    let mut rig = with_shop();
    for (session, path, alias) in [
        (HOME, "mitigate/cuid=two/mid=1", "shop"),
        (BRANCH, PATH, "shop"),
        (HOME, PATH, "Shop"),
    ] {
        let refused = rig.expect(
            session,
            ask(path, &[alias], Target::default()),
            Code::BAD_REQUEST,
        );
        assert!(text_of(&refused).contains(alias));
    }
    assert!(rig.stored.is_empty());
}

/// Covers: S-028
#[test]
fn an_alias_and_explicit_targets_are_a_union() {
    let mut rig = with_shop();
    let explicit = Target {
        port_ranges: vec![PortRange::single(80)],
        protocols: vec![Protocol::TCP, Protocol::UDP],
        ..target(&["203.0.113.9/32", "203.0.113.7/32"])
    };
    rig.expect(HOME, ask(PATH, &["shop"], explicit), Code::CREATED);
    let scope = protected(&rig);
    assert_eq!(
        scope.prefixes,
        target(&["203.0.113.9/32", "203.0.113.7/32"]).prefixes
    );
    assert_eq!(
        scope.port_ranges,
        [PortRange::single(80), PortRange::single(443)]
    );
    assert_eq!(scope.protocols, [Protocol::TCP, Protocol::UDP]);
    // Ports alone are added to those of the alias.
    let ports = Target {
        port_ranges: vec![PortRange::single(8080)],
        ..Target::default()
    };
    let path = "mitigate/cuid=one/mid=2";
    rig.expect(HOME, ask(path, &["shop"], ports), Code::CREATED);
    assert_eq!(
        protected(&rig).port_ranges,
        [PortRange::single(8080), PortRange::single(443)]
    );
}

/// Covers: S-028. What is asked for on all ports is protected on all ports.
#[test]
fn an_alias_takes_no_protection_from_an_explicit_prefix() {
    let mut rig = with_shop();
    let explicit = target(&["203.0.113.9/32"]);
    rig.expect(HOME, ask(PATH, &["shop"], explicit), Code::CREATED);
    assert_eq!(
        protected(&rig),
        target(&["203.0.113.9/32", "203.0.113.7/32"])
    );
}

/// Covers: S-019, S-028, X-012. An alias is no way around authorisation.
#[test]
fn what_an_alias_stands_for_has_to_be_owned() {
    let mut rig = Rig::new();
    let foreign = aliases(&[("far", target(&["192.0.2.1/32"]))]);
    rig.input(Input::SetResources(client("home", "one"), foreign));
    let refused = rig.expect(
        HOME,
        ask(PATH, &["far"], target(&["203.0.113.7/32"])),
        Code::BAD_REQUEST,
    );
    assert!(text_of(&refused).contains("192.0.2.1/32"));
}

/// Covers: S-028, X-017. Together they are no more than one request may name.
#[test]
fn aliases_count_towards_the_limit_of_a_request() {
    let many = |third: u8| {
        let texts: Vec<String> = (0..100)
            .map(|host| format!("203.0.113.{}/32", host + third))
            .collect();
        target(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut rig = Rig::new();
    let set = aliases(&[("low", many(0)), ("high", many(100))]);
    rig.input(Input::SetResources(client("home", "one"), set));
    let both = ask(PATH, &["low", "high"], Target::default());
    rig.expect(HOME, both, Code::BAD_REQUEST);
    rig.expect(HOME, ask(PATH, &["low"], Target::default()), Code::CREATED);
}

/// Covers: S-029
#[test]
fn requests_that_name_the_same_alias_overlap() {
    let mut rig = with_shop();
    rig.expect(HOME, ask(PATH, &["shop"], Target::default()), Code::CREATED);
    // The alias stands for something else now.
    let moved = aliases(&[("shop", target(&["203.0.113.99/32"]))]);
    rig.input(Input::SetResources(client("home", "one"), moved));
    let path = "mitigate/cuid=one/mid=2";
    rig.expect(HOME, ask(path, &["shop"], Target::default()), Code::CREATED);
    assert_eq!(rig.mids(), [2]);
}

/// Covers: S-026, S-027. What was authorised stays so, through a change of the alias and a restart.
#[test]
fn a_mitigation_keeps_what_its_alias_stood_for() {
    let mut rig = with_shop();
    rig.expect(HOME, ask(PATH, &["shop"], Target::default()), Code::CREATED);
    rig.input(Input::SetResources(
        client("home", "one"),
        ClientResources::default(),
    ));
    rig.restart();
    rig.establish(HOME, "home", 1);
    assert_eq!(protected(&rig), shop());
    rig.expect(HOME, ask(PATH, &["shop"], Target::default()), Code::CHANGED);
    let path = "mitigate/cuid=one/mid=2";
    rig.expect(
        HOME,
        ask(path, &["shop"], Target::default()),
        Code::BAD_REQUEST,
    );
}

/// Covers: S-027. Aliases are durable before anybody relies on them.
#[test]
fn aliases_come_back_after_a_restart() {
    let mut rig = with_shop();
    assert_eq!(rig.trace, ["persist"]);
    rig.restart();
    rig.establish(HOME, "home", 1);
    rig.expect(HOME, ask(PATH, &["shop"], Target::default()), Code::CREATED);
}

/// Covers: S-027, X-017
#[test]
fn an_alias_that_stands_for_nothing_or_for_an_alias_cannot_be_made() {
    assert_eq!(
        Alias::new(Target::default()),
        Err(ResourcesError::EmptyAlias)
    );
    let nested = Target {
        aliases: vec!["shop".parse().unwrap()],
        ..shop()
    };
    assert_eq!(Alias::new(nested), Err(ResourcesError::NestedAlias));
    let long = Target {
        prefixes: vec!["203.0.113.7/32".parse().unwrap(); 129],
        ..Target::default()
    };
    assert_eq!(Alias::new(long), Err(ResourcesError::TooLong));
    let many = (0..129).map(|number| {
        let alias = Alias::new(shop()).unwrap();
        (format!("a{number}").parse().unwrap(), alias)
    });
    assert_eq!(
        ClientResources::new(many.collect(), Vec::new()),
        Err(ResourcesError::TooMany)
    );
}

fn with_accept_list(on_conflict: ConflictPolicy) -> Rig {
    let mut rig = Rig::with(Policy {
        on_conflict,
        ..policy()
    });
    let list = |name: &str, prefix: &str| AcceptList {
        name: name.parse().unwrap(),
        acl_type: Some("ipv4-acl-type".parse().unwrap()),
        prefixes: vec![prefix.parse().unwrap()],
    };
    let lists = vec![
        list("partner", "203.0.113.0/28"),
        list("elsewhere", "203.0.113.64/28"),
    ];
    let resources = ClientResources::new([].into(), lists).unwrap();
    rig.input(Input::SetResources(client("home", "one"), resources));
    rig
}

/// Covers: S-036
#[test]
fn a_request_that_meets_an_accept_list_is_refused_or_told_of_it() {
    let mut rig = with_accept_list(ConflictPolicy::First);
    let asked = Ask::mitigate(1, &["203.0.113.7/32"], 60);
    let refused = refusal(&rig.expect(HOME, asked.clone(), Code::CONFLICT)).conflict;
    let mut rig = with_accept_list(ConflictPolicy::Both);
    let told = granted(&rig.expect(HOME, asked, Code::CREATED)).conflict;
    for (conflict, status) in [
        (Some(refused), ConflictStatus::RequestInactiveOtherActive),
        (told, ConflictStatus::RequestActive),
    ] {
        let conflict = conflict.expect("a conflict");
        assert_eq!(conflict.cause, Some(ConflictCause::ConflictWithAcceptlist));
        assert_eq!(conflict.status, Some(status));
        let scope = conflict.scope.expect("a scope");
        assert_eq!(scope.acl_list.len(), 1);
        assert_eq!(scope.acl_list[0].acl_name.as_str(), "partner");
        let acl_type = scope.acl_list[0].acl_type.as_ref();
        assert_eq!(acl_type.map(|name| name.as_str()), Some("ipv4-acl-type"));
    }
}

/// Covers: S-036. Those of others are nobody's business, and what lies beside is no conflict.
#[test]
fn only_the_clients_own_accept_lists_count_and_only_where_they_overlap() {
    let mut rig = with_accept_list(ConflictPolicy::First);
    rig.expect(
        HOME,
        Ask::mitigate(1, &["203.0.113.32/32"], 60),
        Code::CREATED,
    );
    let other = Ask::put(
        "mitigate/cuid=two/mid=1",
        super::rig::body(&["203.0.113.7/32"], 60),
    );
    rig.expect(HOME, other, Code::CREATED);
}
