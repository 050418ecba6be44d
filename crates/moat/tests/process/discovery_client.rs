//! A client that is told little more than the names of its networks, and learns the rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Daemon, MOAT, NameServer, Neighbour, Outcome, Site, isolated, run, until};

const CLIENT: &str = r#"
state = "state/client.db"
control = "client.sock"
[[pvd]]
id = "fixed.example"
interface = "fixed0"
[pvd.discover]
trusted_names = ["*.fixed.example"]
certificate = "pki/home.pem"
private_key = "pki/home-key.pem"
trust_anchors = "pki/ca.pem"
[[pvd]]
id = "mobile.example"
interface = "mobile0"
[pvd.discover]
trusted_names = ["dots.mobile.example"]
certificate = "pki/home.pem"
private_key = "pki/home-key.pem"
trust_anchors = "pki/ca.pem"
"#;

/// A provider behind `interface` with a DOTS server at `PREFIX::46`, which protects its prefix.
pub(crate) fn provider(
    site: &Site,
    interface: &str,
    name: &str,
    prefix: &str,
) -> Outcome<Neighbour> {
    let folder = site.path().join(interface);
    fs::create_dir(&folder)?;
    let mut host = Neighbour::behind(interface, &folder.join("log"))?;
    host.run(&format!("ip address add {prefix}::1/64 dev home"))?;
    host.run(&format!("ip address add {prefix}::46/64 dev home"))?;
    let own = format!("{prefix}::7/64");
    run("ip", &["address", "add", &own, "dev", interface])?;
    site.issue("pki", &["--server", name])?;
    let file = format!(
        r#"listen = ["[{prefix}::46]:4646"]
certificate = "../pki/{name}.pem"
private_key = "../pki/{name}-key.pem"
trust_anchors = "../pki/ca.pem"
state = "server.db"
control = "server.sock"
[[customer]]
name = "home"
prefixes = ["{prefix}::/64"]
[mitigator.nftables]
"#
    );
    fs::write(folder.join("server.toml"), file)?;
    let file = folder.join("server.toml").display().to_string();
    host.start(&format!("{MOAT} server --config {file}"))?;
    // Whom all addresses refuse, that client tries again a minute later.
    until("the server listens", || {
        let asked = "ss -Hlun sport = :4646 | grep -q . && ss -Hltn sport = :4646 | grep -q .";
        Ok(host.run(asked).is_ok())
    })?;
    Ok(host)
}

/// A DHCPv6 server that names the DOTS server at this address.
fn start_dnsmasq(provider: &mut Neighbour, folder: &Path, prefix: &str, address: &str) -> Outcome {
    provider.start(&format!(
        "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group= --port=0 --interface=home --bind-interfaces \
         --pid-file={0}/dnsmasq --dhcp-leasefile={0}/leases --dhcp-range={prefix}::,static \
         --dhcp-option=option6:141,04:64:6f:74:73:05:66:69:78:65:64:07:65:78:61:6d:70:6c:65:00 \
         --dhcp-option=option6:142,{address}",
        folder.display()
    ))
}

fn announce(site: &Site, interface: &str, text: &Value) -> Outcome<bool> {
    let file = site.path().join("announcement");
    fs::write(&file, text.to_string())?;
    let status = Command::new(MOAT)
        .args(["pvd", "announce", "--interface", interface, "--json", "-"])
        .arg("--control")
        .arg(site.path().join("client.sock"))
        .stdin(fs::File::open(file)?)
        .stderr(Stdio::null())
        .status()?;
    Ok(status.success())
}

/// With which servers there is a session.
pub(crate) fn sessions(site: &Site) -> Outcome<Vec<String>> {
    let answer = site.ask_at("client.sock", "sessions")?;
    let sessions = answer["sessions"].as_array().ok_or("no sessions")?;
    let up = sessions
        .iter()
        .filter(|session| session["state"] == "established");
    Ok(up
        .map(|session| session["server"].as_str().unwrap_or_default().to_owned())
        .collect())
}

pub(crate) fn mitigate(site: &Site, target: &str) -> Outcome<Value> {
    let requests = site.mitigate(target)?["requests"].take();
    until("it is accepted", || {
        let asked = site.requests()?;
        let own = asked.iter().find(|it| it.target == format!("{target}/128"));
        Ok(own.is_some_and(|it| it.accepted))
    })?;
    Ok(requests)
}

/// Covers: Y-001, Y-002, Y-003, Y-016, Y-017, M-015
#[test]
fn a_client_asks_servers_that_were_discovered_or_announced_and_no_others() -> Outcome {
    isolated(&["dnsmasq", "ss"], || {
        let site = Site::new()?;
        let (fixed, mobile) = ("2001:db8:f", "2001:db8:e");
        let mut provider_of_fixed = provider(&site, "fixed0", "dots.fixed.example", fixed)?;
        let _provider_of_mobile = provider(&site, "mobile0", "dots.mobile.example", mobile)?;
        let folder = site.path().join("fixed0");
        start_dnsmasq(&mut provider_of_fixed, &folder, fixed, "[2001:db8:f::46]")?;

        fs::write(site.path().join("client.toml"), CLIENT)?;
        let mut client = Daemon::launch("client", &site.path().join("client.toml"))?;
        client.wait_for("found DOTS servers")?;
        until("there is a session with the server that DHCP named", || {
            Ok(sessions(&site)? == ["dots.fixed.example"])
        })?;
        let requests = mitigate(&site, "2001:db8:f::7")?;
        assert_eq!(requests[0]["server"], "dots.fixed.example", "{requests}");

        // A modem that knows more says so.
        let text = |pvd: &str, name: &str, lifetime: u32| {
            json!({
                "pvd": pvd, "lifetime": lifetime,
                "dots": [{ "name": name, "addresses": ["2001:db8:e::46"] }],
            })
        };
        let sound = text("mobile.example", "dots.mobile.example", 3600);
        let not_trusted = text("mobile.example", "dots.evil.example", 3600);
        assert!(!announce(&site, "mobile0", &not_trusted)?);
        assert!(!announce(&site, "fixed0", &sound)?);
        assert!(!announce(
            &site,
            "mobile0",
            &json!({ "pvd": "mobile.example" })
        )?);
        assert!(announce(&site, "mobile0", &sound)?);
        until(
            "there is a session with the server that was announced",
            || Ok(sessions(&site)? == ["dots.fixed.example", "dots.mobile.example"]),
        )?;
        let requests = mitigate(&site, "2001:db8:e::7")?;
        assert_eq!(requests[0]["server"], "dots.mobile.example", "{requests}");
        assert_eq!(requests[1], Value::Null, "{requests}");

        // A server that is said to be another network's, too (M-015).
        let shared = json!({
            "pvd": "mobile.example", "lifetime": 3600,
            "dots": [{ "name": "dots.mobile.example", "addresses": ["2001:db8:f::46"] }],
        });
        assert!(announce(&site, "mobile0", &shared)?);
        client.wait_for("at one anycast address")?;

        // What is taken back is not asked any more.
        assert!(announce(
            &site,
            "mobile0",
            &text("mobile.example", "dots.mobile.example", 0)
        )?);
        until("the session has ended", || {
            Ok(sessions(&site)? == ["dots.fixed.example"])
        })
    })
}

/// Covers: Y-003
#[test]
fn a_network_whose_server_does_not_answer_is_asked_again() -> Outcome {
    isolated(&["dnsmasq", "ss"], || {
        let site = Site::new()?;
        let fixed = "2001:db8:f";
        let mut provider = provider(&site, "fixed0", "dots.fixed.example", fixed)?;
        provider.run("ip address add 2001:db8:f::47/64 dev home")?;
        let folder = site.path().join("fixed0");
        start_dnsmasq(&mut provider, &folder, fixed, "[2001:db8:f::47]")?;
        fs::write(site.path().join("client.toml"), CLIENT)?;
        let mut client = Daemon::launch("client", &site.path().join("client.toml"))?;
        client.wait_for("found DOTS servers")?;
        client.wait_for("asking the network again")?;
        client.wait_for("found DOTS servers")?;
        Ok(())
    })
}

/// From where, and from which port, the session with the server at `remote` leaves.
fn source(remote: &str) -> Outcome<Option<String>> {
    let sockets = run("ss", &["-H", "-n", "-u", "-6", "dst", remote])?;
    let local = sockets
        .lines()
        .find_map(|line| line.split_whitespace().nth(3));
    Ok(local.map(str::to_owned))
}

/// Covers: M-002, M-011, M-028. Of a public, a temporary and a deprecated address the first is chosen. What was begun from it goes
/// on when it is deprecated, and is begun anew from another when it is gone.
#[test]
fn sessions_leave_from_the_address_that_rfc_6724_chooses() -> Outcome {
    isolated(&["ss"], || {
        let site = Site::new()?;
        let _provider = provider(&site, "fixed0", "dots.fixed.example", "2001:db8:f")?;
        let ip = |line: &str| run("ip", &line.split(' ').collect::<Vec<_>>());
        run("sysctl", &["-qw", "net.ipv6.conf.fixed0.use_tempaddr=2"])?;
        ip("address delete 2001:db8:f::7/64 dev fixed0")?;
        ip("address add 2001:db8:f::7/64 dev fixed0 mngtmpaddr")?;
        ip("address add 2001:db8:f::d/64 dev fixed0 preferred_lft 0")?;
        let shown = ip("-6 address show dev fixed0")?;
        assert!(shown.contains("temporary") && shown.contains("deprecated"));

        fs::write(site.path().join("client.toml"), CLIENT)?;
        let mut client = Daemon::launch("client", &site.path().join("client.toml"))?;
        client.wait_for("attached")?;
        let server = json!({ "name": "dots.fixed.example", "addresses": ["2001:db8:f::46"] });
        let text = json!({ "pvd": "fixed.example", "lifetime": 3600, "dots": [server] });
        assert!(announce(&site, "fixed0", &text)?);
        let is_up = || Ok(sessions(&site)? == ["dots.fixed.example"]);
        until("there is a session", is_up)?;
        let remote = "[2001:db8:f::46]:4646";
        let first = source(remote)?.ok_or("no socket")?;
        assert!(first.starts_with("[2001:db8:f::7]"), "{first}");

        ip("address add 2001:db8:f::8/64 dev fixed0")?;
        ip("address change 2001:db8:f::7/64 dev fixed0 preferred_lft 0")?;
        client.wait_for("attached")?;
        assert!(is_up()?);
        assert_eq!(source(remote)?, Some(first));

        ip("address delete 2001:db8:f::7/64 dev fixed0")?;
        until(
            "the session leaves from the address that is preferred now",
            || {
                let source = source(remote)?.unwrap_or_default();
                Ok(source.starts_with("[2001:db8:f::8]") && is_up()?)
            },
        )
    })
}

/// A PvD whose servers are looked for under `domain`, with the resolver that DHCP names and what is written of it.
fn named_pvd(id: &str, domain: &str, resolver: &str) -> String {
    format!(
        r#"[[pvd]]
id = "{id}"
interface = "fixed0"
[pvd.dns]
trust_anchors = "pki/ca.pem"
dnssec_trust_anchors = "anchor"
{resolver}
[pvd.discover]
domain = "{domain}"
certificate = "pki/home.pem"
private_key = "pki/home-key.pem"
trust_anchors = "pki/ca.pem"
"#
    )
}

/// Which of these PvDs the client finds servers of, once it knows of all.
fn found(site: &Site, pvds: &[String]) -> Outcome<Vec<String>> {
    let top = "state = \"state/client.db\"\ncontrol = \"client.sock\"\n";
    let file = site.path().join("client.toml");
    fs::write(&file, format!("{top}{}", pvds.concat()))?;
    let mut client = Daemon::launch("client", &file)?;
    let mut answers: BTreeMap<String, bool> = BTreeMap::new();
    while answers.len() < pvds.len() {
        let line = client.wait_for(" DOTS servers ")?;
        let (_, rest) = line.split_once("pvd=").ok_or("no PvD")?;
        let pvd = rest.split_whitespace().next().unwrap_or_default();
        answers.insert(pvd.to_owned(), line.contains("found DOTS servers"));
    }
    client.kill()?;
    let found = answers.into_iter().filter(|(_, is_found)| *is_found);
    Ok(found.map(|(pvd, _)| pvd).collect())
}

/// Covers: Y-014
#[test]
fn names_of_servers_are_asked_for_over_tls_and_believed_when_signed() -> Outcome {
    isolated(&["dnsmasq", "named"], || {
        let site = Site::new()?;
        let mut provider = Neighbour::behind("fixed0", &site.path().join("provider"))?;
        provider.run("ip address add 2001:db8:f::53/64 dev home")?;
        run(
            "ip",
            &["address", "add", "2001:db8:f::7/64", "dev", "fixed0"],
        )?;
        NameServer::start_at(&site, &mut provider, "2001:db8:f::53")?;
        provider.start(&format!(
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --group= --port=0 --interface=home --bind-interfaces --pid-file \
             --dhcp-leasefile={}/leases --dhcp-range=2001:db8:f::,static --dhcp-option=option6:dns-server,[2001:db8:f::53]",
            site.path().display()
        ))?;

        let private = "tls_name = \"dns.example\"";
        let signed = named_pvd("signed.example", "customer.example", private);
        let unsigned = named_pvd("unsigned.example", "unsigned.example", private);
        let stranger = "tls_name = \"dns.other.example\"";
        let stranger = named_pvd("stranger.example", "customer.example", stranger);
        assert_eq!(
            found(&site, &[signed, unsigned, stranger])?,
            ["signed.example"]
        );

        // What is not to be proven is believed.
        let unproven = "tls_name = \"dns.example\"\ndnssec = false";
        let unsigned = named_pvd("unsigned.example", "unsigned.example", unproven);
        assert_eq!(found(&site, &[unsigned])?, ["unsigned.example"]);
        Ok(())
    })
}

/// Covers: Y-003
#[test]
fn what_was_discovered_serves_on_while_the_interface_changes_and_nobody_answers() -> Outcome {
    isolated(&["dnsmasq", "ss"], || {
        let site = Site::new()?;
        let fixed = "2001:db8:f";
        let mut provider = provider(&site, "fixed0", "dots.fixed.example", fixed)?;
        let folder = site.path().join("fixed0");
        start_dnsmasq(&mut provider, &folder, fixed, "[2001:db8:f::46]")?;
        fs::write(site.path().join("client.toml"), CLIENT)?;
        let mut client = Daemon::launch("client", &site.path().join("client.toml"))?;
        client.wait_for("found DOTS servers")?;
        until("there is a session with the server", || {
            Ok(sessions(&site)? == ["dots.fixed.example"])
        })?;
        provider.run(&format!("kill $(cat {}/dnsmasq)", folder.display()))?;
        let ip = |line: &str| run("ip", &line.split(' ').collect::<Vec<_>>());
        ip("address add 2001:db8:f::8/64 dev fixed0")?;
        client.wait_for("attached")?;
        // As long as a new search takes, with some patience for DHCP.
        thread::sleep(Duration::from_secs(12));
        assert_eq!(sessions(&site)?, ["dots.fixed.example"]);
        ip("address flush dev fixed0 scope global")?;
        ip("address add 2001:db8:e::7/64 dev fixed0")?;
        client.wait_for("the interface is in another network")?;
        until("nobody of the old network is asked", || {
            Ok(sessions(&site)?.is_empty())
        })
    })
}
