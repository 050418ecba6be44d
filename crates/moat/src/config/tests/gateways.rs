//! Whom a server trusts to say for which customer it asks.

use super::super::load_server;
use super::{Folder, assert_told, with};

const FILE: &str = r#"certificate = "dots.fixed.example.pem"
private_key = "dots.fixed.example-key.pem"
trust_anchors = "ca.pem"
[[gateway]]
name = "GW1.fixed.example"
[[customer]]
name = "home"
cdid = ["first", "second"]
prefixes = ["203.0.113.0/28"]
[[customer]]
name = "branch"
cdid = ["third"]
prefixes = ["203.0.113.16/28"]
"#;

/// Covers: G-003, G-004
#[test]
fn trusted_gateways_and_what_they_call_customers_are_read() {
    let folder = Folder::new();
    let config = load_server(&folder.write(FILE)).unwrap();
    assert_eq!(config.gateways.len(), 1);
    assert_eq!(config.gateways[0].name, "gw1.fixed.example");
    let cdids = config.customers[0].cdids.iter().map(|cdid| cdid.as_str());
    assert_eq!(cdids.collect::<Vec<_>>(), ["first", "second"]);
    let none = with(FILE, "[[gateway]]\nname = \"GW1.fixed.example\"\n", "");
    assert!(
        load_server(&folder.write(&none))
            .unwrap()
            .gateways
            .is_empty()
    );
}

#[test]
fn every_wrong_value_is_told() {
    assert_told(
        FILE,
        r##"
"GW1.fixed.example" => ""
    5:8: gateway[0].name: "" is not a name: it is empty; write it like home.example.net
[[gateway]] => [gateway]
    4:1: gateway: this is a table; write a table for each gateway: [[gateway]]
["third"] => ["second"]
    12:9: customer[1].cdid[0]: "second" is used by customer[0].cdid[1] already (line 8); give this one a name of its own
["third"] => [""]
    12:9: customer[1].cdid[0]: a cdid is empty; write what the gateway says, like 7eeaf349529eb55ed50113
["third"] => "third"
    12:8: customer[1].cdid: this is a string; write a list of texts in quotes
"##,
    );
}
