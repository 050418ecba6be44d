//! Whom to ask, as a client's file says it.

use agent::server_selection::{Disclosure, Independent, SameProvider, SeenOn};

use super::super::{ClientConfig, load_client};
use super::client::CLIENT;
use super::{Folder, with};

const SELECTION: &str = r#"[selection]
independent = "one"
seen_on = "decides"
same_provider = "all"
disclosure = "consented"
[[selection.prefer]]
prefixes = ["192.0.2.0/25"]
pvds = ["mobile.example"]
[heartbeat]"#;

fn load(folder: &Folder, text: &str) -> ClientConfig {
    load_client(&folder.write(text)).unwrap()
}

fn warnings(config: &ClientConfig) -> Vec<String> {
    config.warnings.iter().map(ToString::to_string).collect()
}

/// Covers: M-007, M-013, M-014, M-016, M-023, M-024, M-025
#[test]
fn every_choice_of_rfc_9284_can_be_written() {
    let folder = Folder::new();
    let plain = load(&folder, CLIENT);
    assert!(plain.independent.is_empty());
    assert_eq!(plain.policy.independent, Independent::All);
    assert_eq!(plain.policy.disclosure, Disclosure::Owner);

    let text = with(CLIENT, "[heartbeat]", SELECTION);
    let text = format!("provider_independent = [\"192.0.2.0/24\"]\n{text}");
    let config = load(&folder, &text);
    assert_eq!(config.independent, ["192.0.2.0/24".parse().unwrap()]);
    let policy = &config.policy;
    assert_eq!(policy.independent, Independent::One);
    assert_eq!(policy.seen_on, SeenOn::Decides);
    assert_eq!(policy.same_provider, SameProvider::All);
    assert_eq!(policy.disclosure, Disclosure::Consented);
    let set = config.pvd_set();
    let division = set.divide("192.0.2.7/32".parse().unwrap()).unwrap();
    assert!(division.pieces[0].owner.independent);
}

/// Covers: M-016. A name that is no PvD's would silently protect nothing.
#[test]
fn a_preference_for_an_unknown_pvd_is_refused() {
    let folder = Folder::new();
    let text = with(CLIENT, "[heartbeat]", SELECTION);
    let text = with(
        &text,
        "pvds = [\"mobile.example\"]",
        "pvds = [\"moblie.example\"]",
    );
    let told = folder.told(&text);
    assert!(
        told[0].contains("moblie.example is the id of no [[pvd]]"),
        "{told:?}"
    );
}

/// Covers: M-020, M-022
#[test]
fn only_a_gateway_may_leave_its_prefixes_unsaid() {
    let folder = Folder::new();
    let without = with(
        CLIENT,
        "prefixes = [\"198.51.100.0/28\"]\naddresses = [\"198.51.100.1\"]\n",
        "",
    );
    let told = folder.told(&without);
    assert!(
        told[0].contains("pvd[1].prefixes") || told[0].contains("prefixes is missing"),
        "{told:?}"
    );
    let id = "id = \"mobile.example\"";
    let gateway = with(&without, id, &format!("{id}\ngateway = true"));
    let set = load(&folder, &gateway).pvd_set();
    let mobile = set.get(&"mobile.example".parse().unwrap()).unwrap();
    assert!(mobile.leaves_choice_to_gateway());
}

/// Covers: M-015, M-019, M-022, M-023
#[test]
fn one_address_for_servers_of_two_networks_is_questioned_unless_they_are_one_providers() {
    let folder = Folder::new();
    let anycast = with(CLIENT, "[\"198.51.100.129\"]", "[\"203.0.113.129\"]");
    let told = warnings(&load(&folder, &anycast));
    assert!(
        told[0].contains("pvd[1].id") && told[0].contains("anycast"),
        "{told:?}"
    );
    let mut one = anycast;
    for id in ["id = \"fixed.example\"", "id = \"mobile.example\""] {
        one = with(&one, id, &format!("{id}\nprovider = \"ISP\""));
    }
    assert_eq!(warnings(&load(&folder, &one)), [""; 0]);
}

#[test]
fn a_prefix_is_the_sites_own_or_assigned() {
    let folder = Folder::new();
    let text = format!("provider_independent = [\"198.51.100.0/28\"]\n{CLIENT}");
    let told = warnings(&load(&folder, &text));
    assert!(
        told[0].contains("is in provider_independent (line 1)"),
        "{told:?}"
    );
}

/// Covers: M-016. What is attacked there would be nobody's to protect.
#[test]
fn a_preference_for_networks_that_may_not_be_asked_is_questioned() {
    let folder = Folder::new();
    let text = with(CLIENT, "[heartbeat]", SELECTION);
    let alone = with(&text, "disclosure = \"consented\"\n", "");
    let told = warnings(&load(&folder, &alone));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("none of mobile.example may be asked for 192.0.2.0/25"),
        "{told:?}"
    );
    // The administrator has consented, or it is the site's own, or that network assigned it.
    let own = format!("provider_independent = [\"192.0.2.0/24\"]\n{alone}");
    let assigned = with(&alone, "192.0.2.0/25", "198.51.100.0/29");
    for text in [text, own, assigned] {
        assert_eq!(warnings(&load(&folder, &text)), [] as [&str; 0], "{text}");
    }
}
