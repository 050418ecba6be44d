//! `moat pvd tunnel`: a tunnel of a VPN that tells of it as JSON. What strongSwan tells is shown in the lab, by `pvd-vpn`.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::{Daemon, MOAT, Outcome, isolated, run, until};

fn ip(line: &str) -> Outcome<String> {
    run("ip", &line.split(' ').collect::<Vec<_>>())
}

fn office(prefix: &str) -> Value {
    json!({
        "pvd": "office.example", "gateway": "192.0.2.1", "outer": "198.51.100.5",
        "addresses": ["10.9.0.5"], "prefixes": [prefix], "resolvers": ["10.1.0.53"]
    })
}

fn tell(socket: &str, what: &str, tunnel: &Value) -> Outcome<Output> {
    let mut child = Command::new(MOAT)
        .args(["pvd", "tunnel", what, "--json", "-", "--control", socket])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take().ok_or("no stdin")?;
    write!(&stdin, "{tunnel}")?;
    drop(stdin);
    Ok(child.wait_with_output()?)
}

/// What it says, if it does what it is told.
fn told(socket: &str, what: &str, tunnel: &Value) -> Outcome<String> {
    let output = tell(socket, what, tunnel)?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    match output.status.success() {
        true => Ok(said.trim().to_owned()),
        false => Err(said.into()),
    }
}

/// All PvDs, by name with their interface.
fn pvds(socket: &str) -> Outcome<Vec<Value>> {
    let list = run(MOAT, &["pvd", "list", "--json", "--control", socket])?;
    Ok(serde_json::from_str(&list)?)
}

fn watch(socket: &str) -> Outcome<Daemon> {
    let mut daemon = Daemon::watch("fixed0", socket, &[])?;
    daemon.wait_for("watches")?;
    Ok(daemon)
}

/// Covers: P-033, P-035
#[test]
fn a_tunnel_of_any_vpn_is_there_until_it_is_told_to_end_or_its_interface_goes() -> Outcome {
    isolated(&[], || {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("pvd.sock").display().to_string();
        ip("link add fixed0 type veth peer name router0")?;
        ip("address add 198.51.100.5/24 dev fixed0")?;
        ip("tuntap add dev tun0 mode tun")?;
        ip("link set tun0 up")?;
        let daemon = watch(&socket)?;

        // It is told before its address is there.
        let said = told(&socket, "up", &office("10.1.0.0/16"))?;
        assert_eq!(
            said,
            "office.example waits for an interface with its addresses"
        );
        assert_eq!(pvds(&socket)?, [] as [Value; 0]);
        ip("address add 10.9.0.5/32 dev tun0")?;
        until("the tunnel is a PvD", || Ok(pvds(&socket)?.len() == 1))?;
        let said = told(&socket, "up", &office("10.2.0.0/16"))?;
        assert_eq!(said, "office.example on tun0");
        until("both prefixes are reached", || {
            let reaches = &pvds(&socket)?[0]["tunnel"]["reaches"];
            Ok(*reaches == json!(["10.1.0.0/16", "10.2.0.0/16"]))
        })?;
        let view = &pvds(&socket)?[0];
        assert_eq!(view["interface"], "tun0");
        assert_eq!(view["link"], "a VPN");
        assert_eq!(view["resolvers"], json!([{ "name": "10.1.0.53" }]));
        assert_eq!(view["addresses"][0]["address"], "10.9.0.5");
        assert_eq!(
            view["tunnel"]["state"],
            "used as its peer describes it; nobody else does"
        );

        daemon.terminate()?;
        drop(daemon);
        let daemon = watch(&socket)?;
        until("it is there after a restart", || {
            Ok(pvds(&socket)?.len() == 1)
        })?;
        told(&socket, "down", &office("10.1.0.0/16"))?;
        until("the rest is reached", || {
            Ok(pvds(&socket)?[0]["tunnel"]["reaches"] == json!(["10.2.0.0/16"]))
        })?;
        ip("link delete tun0")?;
        until("it is gone with its interface", || {
            Ok(pvds(&socket)?.is_empty())
        })?;
        let late = told(&socket, "down", &office("10.2.0.0/16"));
        assert!(late.is_err_and(|why| why.to_string().contains("no such tunnel")));

        // Without an interface of its own.
        ip("address add 10.9.0.5/32 dev fixed0")?;
        let shared = tell(&socket, "up", &office("10.1.0.0/16"))?;
        assert_eq!(shared.status.code(), Some(1));
        let why = String::from_utf8(shared.stderr)?;
        assert!(
            why.contains("10.9.0.5 is on fixed0, which carries the tunnel, too"),
            "{why}"
        );
        let mut wrong = office("10.1.0.0/16");
        wrong["resolvers"] = json!(["127.0.0.53"]);
        let refused = told(&socket, "up", &wrong);
        assert!(refused.is_err_and(|why| why.to_string().contains("127.0.0.53 can be none")));
        daemon.terminate()
    })
}
