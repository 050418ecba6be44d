//! Routes by source address, as a client's file says them.

use super::super::load_client;
use super::super::routing::Routing;
use super::client::CLIENT;
use super::{Folder, assert_told, with};

#[test]
fn routes_by_source_address_are_kept_where_they_are_wanted() {
    let folder = Folder::new();
    let routing = |text: &str| load_client(&folder.write(text)).unwrap().routing;
    assert_eq!(routing(CLIENT), None);
    let default = Routing {
        first_table: 4646,
        first_priority: 4646,
    };
    let text = with(CLIENT, "[heartbeat]", "[routing]\n[heartbeat]");
    assert_eq!(routing(&text), Some(default));
    let own = "[routing]\nfirst_table = 300\nfirst_priority = 32636\n[heartbeat]";
    let own = routing(&with(CLIENT, "[heartbeat]", own)).unwrap();
    assert_eq!((own.first_table, own.first_priority), (300, 32_636));
}

#[test]
fn tables_and_rules_of_the_kernel_are_left_alone() {
    assert_told(
        CLIENT,
        r#"
[heartbeat] => [routing]\nfirst_table = 254\n[heartbeat]
    5:15: routing.first_table: 254 is out of range; write 256 to 1073741824
[heartbeat] => [routing]\nfirst_priority = 32637\n[heartbeat]
    5:18: routing.first_priority: 32637 is out of range; write 1 to 32636
"#,
    );
}
