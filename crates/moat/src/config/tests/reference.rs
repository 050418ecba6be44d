//! README's list of all keys is the list of all keys, with their defaults and ranges.

use std::collections::BTreeSet;

use super::super::client::ClientConfig;
use super::super::gateway::GatewayConfig;
use super::super::reader::{Diagnostics, Table};
use super::super::server::ServerConfig;
use super::super::{
    advertise, client, gateway, load_advertise, load_client, load_gateway, load_pvd_server,
    load_server, pvd_server, server,
};
use super::{Folder, with};

const README: &str = include_str!("../../../../../README.md");

/// What a client and a gateway say of the networks around them.
macro_rules! networks {
    () => {
        r#"[routing]
[provisioning]
[selection]
[[selection.prefer]]
prefixes = ["203.0.113.0/28"]
pvds = ["fixed.example"]
[[pvd]]
id = "fixed.example"
prefixes = ["203.0.113.0/28"]
interface = "lo"
[[pvd.dots]]
name = "dots.fixed.example"
addresses = ["203.0.113.129"]
certificate = "home.pem"
private_key = "home-key.pem"
trust_anchors = "ca.pem"
[pvd.dns]
[pvd.discover]
certificate = "home.pem"
private_key = "home-key.pem"
trust_anchors = "ca.pem"
"#
    };
}

/// What a server and a gateway say at the top, and of names and limits.
macro_rules! listening {
    () => {
        r#"# top
certificate = "dots.fixed.example.pem"
private_key = "dots.fixed.example-key.pem"
trust_anchors = "ca.pem"
[heartbeat]
[dns]
servers = ["198.51.100.53"]
[limits]
"#
    };
}

/// What they say of those who ask.
macro_rules! customers {
    () => {
        r#"[[gateway]]
name = "gw1.fixed.example"
[[customer]]
name = "home"
prefixes = ["10.0.0.0/28"]
[customer.redirect]
server = "dots2.fixed.example"
"#
    };
}

/// A client's file with every table, and nothing that has a default.
const CLIENT: &str = concat!("# top\n[heartbeat]\n", networks!());

/// A server's file with every table, and nothing that has a default.
const SERVER: &str = concat!(listening!(), "[mitigator.nftables]\n", customers!());

/// A gateway's file with every table, and nothing that has a default.
const GATEWAY: &str = concat!(
    listening!(),
    "[[nat]]\ninside = \"10.0.0.0/28\"\noutside = \"203.0.113.0/28\"\n",
    customers!(),
    networks!()
);

/// A file of `moat pvd advertise` with every table, and nothing that has a default.
const ADVERTISE: &str = r#"# top
[[interface]]
name = "lo"
[[pvd]]
interface = "lo"
id = "fixed.example"
object = "fixed.json"
[[pvd.prefix]]
prefix = "2001:db8:f:100::/64"
[[pvd.route]]
prefix = "2001:db8:1::/48"
"#;

/// The file of a PvD server with every table, and nothing that has a default.
const PVD_SERVER: &str = r#"# top
[limits]
[[pvd]]
id = "dots.fixed.example"
certificate = "dots.fixed.example.pem"
private_key = "dots.fixed.example-key.pem"
object = "x.json"
"#;

/// A row of README: the header of its table as the file has it, and its cells.
struct Row {
    header: &'static str,
    key: &'static str,
    default: &'static str,
    range: &'static str,
}

impl Row {
    /// The key's path, as `pvd.dots.name`.
    fn path(&self) -> String {
        match self.header.trim_matches(['[', ']']) {
            "# top" => self.key.to_owned(),
            table => format!("{table}.{}", self.key),
        }
    }

    /// A file in which the key has this value.
    fn with_value(&self, file: &str, value: &str) -> String {
        let line = format!("{}\n", self.header);
        with(file, &line, &format!("{line}{} = {value}\n", self.key))
    }
}

/// The rows under the headlines that begin with `#### WHOSE, `.
fn rows(whose: &str) -> Vec<Row> {
    let mut header = None;
    let mut rows = Vec::new();
    for line in README.lines() {
        if line.starts_with('#') {
            let own = line
                .strip_prefix("#### ")
                .and_then(|rest| rest.strip_prefix(whose));
            header = own.map(|own| match own.trim_start_matches(", ") {
                "top of the file" => "# top",
                table => table.trim_matches('`'),
            });
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let (Some(header), ["", key, _, default, range, _, ""]) = (header, cells.as_slice())
            && let Some(key) = key.strip_prefix('`')
        {
            let key = key.trim_end_matches('`');
            rows.push(Row {
                header,
                key,
                default,
                range,
            });
        }
    }
    rows
}

/// Every key that a reader asks for, without those that are tables.
fn keys<T>(
    text: &str,
    folder: &Folder,
    read: impl FnOnce(Table<'_>, &std::path::Path, &mut Diagnostics<'_>) -> Option<T>,
) -> BTreeSet<String> {
    let file = folder.path().join("x.toml");
    let mut diagnostics = Diagnostics::new(&file, text);
    let document = diagnostics.parse().unwrap();
    read(Table::root(&document), folder.path(), &mut diagnostics).unwrap();
    let all = diagnostics.keys;
    let is_table = |key: &String| {
        let within = format!("{key}.");
        all.iter().any(|other| other.starts_with(&within))
    };
    all.iter().filter(|key| !is_table(key)).cloned().collect()
}

#[test]
fn readme_has_every_key_and_no_other() {
    let folder = Folder::new();
    let documented = |whose| rows(whose).iter().map(Row::path).collect::<BTreeSet<_>>();
    assert_eq!(documented("Client"), keys(CLIENT, &folder, client::read));
    assert_eq!(documented("Server"), keys(SERVER, &folder, server::read));
    let advertised = keys(ADVERTISE, &folder, advertise::read);
    assert_eq!(documented("Advertise"), advertised);
    assert_eq!(
        documented("PvD server"),
        keys(PVD_SERVER, &folder, pvd_server::read)
    );
    // A gateway is a server without a mitigator, and a client without people.
    let is_of_mitigator = |key: &String| {
        key.starts_with("mitigator.")
            || ["terminating", "attack_stopped_after"].contains(&key.as_str())
    };
    let is_of_people = |key: &String| key == "lifetime" || key == "requests";
    let mut all = documented("Gateway");
    all.extend(
        documented("Server")
            .into_iter()
            .filter(|key| !is_of_mitigator(key)),
    );
    all.extend(
        documented("Client")
            .into_iter()
            .filter(|key| !is_of_people(key)),
    );
    assert_eq!(all, keys(GATEWAY, &folder, gateway::read));
}

/// Writing a default changes nothing; the ends of a range are taken, and what is beyond them is not.
fn check(rows: &[Row], file: &str, load: impl Fn(&str) -> Option<String>) {
    let plain = load(file).unwrap();
    for row in rows {
        let key = row.path();
        let Some(default) = row.default.strip_prefix('`') else {
            assert!(
                ["none", "required"].contains(&row.default),
                "{key}: {}",
                row.default
            );
            continue;
        };
        let default = default.trim_end_matches('`');
        let written = load(&row.with_value(file, default));
        assert_eq!(written.as_ref(), Some(&plain), "{key} = {default}");
        let (Ok(_), Some((least, most))) = (default.parse::<i64>(), row.range.split_once(" to "))
        else {
            continue;
        };
        let (least, most): (i64, i64) = (least.parse().unwrap(), most.parse().unwrap());
        for (value, is_taken) in [
            (least, true),
            (most, true),
            (least - 1, false),
            (most + 1, false),
        ] {
            let loaded = load(&row.with_value(file, &value.to_string()));
            assert_eq!(loaded.is_some(), is_taken, "{key} = {value}");
        }
    }
}

#[test]
fn readme_says_the_defaults_and_ranges_of_a_client() {
    let folder = Folder::new();
    let load = |text: &str| -> Option<ClientConfig> { load_client(&folder.write(text)).ok() };
    let rows = rows("Client");
    check(&rows, CLIENT, |text| {
        load(text).map(|config| format!("{config:?}"))
    });
}

#[test]
fn readme_says_the_defaults_and_ranges_of_a_server() {
    let folder = Folder::new();
    let load = |text: &str| -> Option<ServerConfig> { load_server(&folder.write(text)).ok() };
    let rows = rows("Server");
    check(&rows, SERVER, |text| {
        load(text).map(|config| format!("{config:?}"))
    });
}

#[test]
fn readme_says_the_defaults_and_ranges_of_a_gateway() {
    let folder = Folder::new();
    let load = |text: &str| -> Option<GatewayConfig> { load_gateway(&folder.write(text)).ok() };
    let rows = rows("Gateway");
    check(&rows, GATEWAY, |text| {
        load(text).map(|config| format!("{config:?}"))
    });
}

#[test]
fn readme_says_the_defaults_and_ranges_of_what_is_advertised() {
    let folder = Folder::new();
    let load = |text: &str| load_advertise(&folder.write(text)).ok();
    let rows = rows("Advertise");
    check(&rows, ADVERTISE, |text| {
        load(text).map(|config| format!("{config:?}"))
    });
}

#[test]
fn readme_says_the_defaults_and_ranges_of_a_pvd_server() {
    let folder = Folder::new();
    let load = |text: &str| load_pvd_server(&folder.write(text)).ok();
    check(&rows("PvD server"), PVD_SERVER, |text| {
        load(text).map(|config| format!("{config:?}"))
    });
}
