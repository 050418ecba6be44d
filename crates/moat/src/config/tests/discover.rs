//! `[pvd.discover]`: what may be left to the network, and what may not.

use super::super::load_client;
use super::Folder;

const CLIENT: &str = r#"[[pvd]]
id = "fixed.example"
interface = "lo"
[pvd.discover]
certificate = "home.pem"
private_key = "home-key.pem"
trust_anchors = "ca.pem"
"#;

/// Covers: Y-001, Y-016
#[test]
fn a_network_may_be_asked_for_all_but_credentials() {
    let folder = Folder::new();
    let config = load_client(&folder.write(CLIENT)).unwrap();
    let pvd = &config.pvds[0];
    assert!(pvd.prefixes.is_empty() && pvd.addresses.is_empty() && pvd.dots.is_empty());
    let discover = pvd.discover.as_ref().unwrap();
    assert!(discover.trusted.accept(&"any.example".parse().unwrap()));
    assert_eq!(discover.domain, None);
    assert!(config.warnings.is_empty());

    let more = "domain = \"fixed.example\"\ntrusted_names = [\"*.fixed.example\", \"a.example\"]\n";
    let config = load_client(&folder.write(&format!("{CLIENT}{more}"))).unwrap();
    let discover = config.pvds[0].discover.as_ref().unwrap();
    let accepts = |name: &str| discover.trusted.accept(&name.parse().unwrap());
    assert_eq!(discover.domain, Some("fixed.example".parse().unwrap()));
    assert!(accepts("dots.fixed.example") && accepts("a.example"));
    assert!(!accepts("dots.a.example"));
}

/// Covers: Y-016. A list that is empty by mistake would believe everybody.
#[test]
fn discovery_needs_an_interface_credentials_and_names_that_are_some() {
    let folder = Folder::new();
    let without = |line: &str| folder.told(&CLIENT.replace(line, "")).concat();
    assert!(without("interface = \"lo\"\n").contains("interface"));
    assert!(without("private_key = \"home-key.pem\"\n").contains("private_key"));
    for wrong in [
        "[]",
        "[\"*\"]",
        "[\"a..b\"]",
        "[\"a.example\", \"*.*.example\"]",
    ] {
        let told = folder
            .told(&format!("{CLIENT}trusted_names = {wrong}\n"))
            .concat();
        assert!(told.contains("trusted_names"), "{wrong}: {told}");
    }
}
