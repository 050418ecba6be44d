//! The JSON of every message is what the published YANG modules describe, says yanglint.
//!
//! Needs yanglint (Debian: libyang-tools) and the modules in `../shared/yang`, seen from the project's root;
//! without them it prints why it was skipped.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test may panic and say why it did nothing

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dots::configuration::{
    AcceptableConfiguration, ConfigurationReport, ConfigurationRequest, Decimal, HeartbeatInterval,
    RequestedSet, SessionConfiguration,
};
use dots::heartbeat::Heartbeat;
use dots::identifiers::Mid;
use dots::lifetime::{Lifetime, RemainingLifetime};
use dots::mitigation::{
    AttackStatus, ConflictCause, ConflictInformation, ConflictScope, ConflictStatus,
    ConflictingAcl, DroppedCounters, Granted, MitigationReport, MitigationRequest,
    MitigationStatus, Refusal, Status,
};
use dots::redirect::RedirectedSignal;
use dots::target::{PortRange, Protocol, Target};
use serde_json::{Value, json};

const MODULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/yang");
const ACL: &str = "ietf-access-control-list";
const DATA_CHANNEL: &str = "ietf-dots-data-channel";
const SIGNAL_CHANNEL: &str = "ietf-dots-signal-channel";

/// yanglint and a folder with modules that it can load.
struct Yang {
    folder: PathBuf,
    modules: Vec<PathBuf>,
}

impl Yang {
    /// The reason if something is not there.
    fn open(folder: &str) -> Result<Self, String> {
        if let Err(error) = Command::new("yanglint").arg("--version").output() {
            return Err(format!("yanglint: {error}"));
        }
        let published =
            fs::read_dir(MODULES).map_err(|error| format!("../shared/yang: {error}"))?;
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let mut modules = Vec::new();
        for module in published {
            let module = module.unwrap();
            let name = module.file_name().into_string().unwrap();
            let text = fs::read_to_string(module.path()).unwrap();
            let copy = folder.join(&name);
            fs::write(&copy, loadable(&name, &text)).unwrap();
            let wanted = [ACL, DATA_CHANNEL, SIGNAL_CHANNEL];
            if wanted.iter().any(|module| name.starts_with(module)) {
                modules.push(copy);
            }
        }
        modules.sort();
        Ok(Self { folder, modules })
    }

    fn check(&self, name: &str, instance: &Value) -> Output {
        let file = self.folder.join(format!("{name}.json"));
        fs::write(&file, instance.to_string()).unwrap();
        let features =
            "match-on-ipv4,match-on-ipv6,match-on-tcp,match-on-udp,match-on-icmp,ipv4,ipv6";
        Command::new("yanglint")
            .arg("-p")
            .arg(&self.folder)
            .args(["-F", &format!("{ACL}:{features}"), "-t", "data"])
            .args(&self.modules)
            .arg(file)
            .output()
            .unwrap()
    }
}

/// yanglint 2.1 knows neither structures (RFC 8791) nor conditions on an identity that is not derived.
fn loadable(name: &str, text: &str) -> String {
    let mut text = text.replace("sx:augment-structure", "augment");
    if name.starts_with(DATA_CHANNEL) {
        text = text.replace("derived-from(", "derived-from-or-self(");
    }
    let lines = text.lines().map(|line| {
        let structure = line.split_once("sx:structure ");
        match structure.and_then(|(_, rest)| rest.strip_suffix(" {")) {
            Some(name) => format!("container {name} {{ config false;\n"),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

fn target() -> Target {
    Target {
        prefixes: ["192.0.2.0/24", "2001:db8:6401::1/128"]
            .map(|prefix| prefix.parse().unwrap())
            .to_vec(),
        port_ranges: vec![
            PortRange::single(80),
            PortRange::new(1024, Some(65535)).unwrap(),
        ],
        protocols: vec![Protocol::TCP, Protocol::UDP],
        fqdns: vec!["a.example".parse().unwrap()],
        uris: vec!["https://a.example:8443/shop?x=1".parse().unwrap()],
        aliases: vec!["web".parse().unwrap()],
    }
}

fn overlap() -> ConflictInformation {
    ConflictInformation {
        status: Some(ConflictStatus::RequestInactiveOtherActive),
        cause: Some(ConflictCause::OverlappingTargets),
        retry_timer: Some(3600),
        scope: Some(ConflictScope {
            mid: Some(Mid(7)),
            target: target(),
            acl_list: Vec::new(),
        }),
    }
}

fn accept_list() -> ConflictInformation {
    let acl = ConflictingAcl {
        acl_name: "partners".parse().unwrap(),
        acl_type: Some(format!("{ACL}:ipv4-acl-type").parse().unwrap()),
    };
    ConflictInformation {
        cause: Some(ConflictCause::ConflictWithAcceptlist),
        scope: Some(ConflictScope {
            acl_list: vec![acl],
            ..ConflictScope::default()
        }),
        ..ConflictInformation::default()
    }
}

fn report() -> MitigationReport {
    let statuses = (1..=8).map(|code| MitigationStatus {
        mid: Mid(code),
        target: target(),
        trigger_mitigation: Some(code != 8),
        mitigation_start: (code != 8).then_some(1_507_818_434),
        status: Status::from_code(code),
        lifetime: RemainingLifetime::Seconds(1756),
        counters: DroppedCounters {
            bytes: Some(u64::MAX),
            bps: Some(43344),
            pkts: Some(333_334_444),
            pps: Some(432_432),
        },
        conflict: (code == 1).then(overlap),
    });
    MitigationReport(statuses.collect())
}

fn configuration_request() -> ConfigurationRequest {
    let report = ConfigurationReport::new(
        &SessionConfiguration::default(),
        &AcceptableConfiguration::default(),
    );
    let mitigating = RequestedSet {
        heartbeat_interval: report
            .mitigating
            .heartbeat_interval
            .map(|said| said.current),
        missing_hb_allowed: report
            .mitigating
            .missing_hb_allowed
            .map(|said| said.current),
        max_retransmit: report.mitigating.max_retransmit.map(|said| said.current),
        ack_timeout: report.mitigating.ack_timeout.map(|said| said.current),
        ack_random_factor: report.mitigating.ack_random_factor.map(|said| said.current),
        probing_rate: report.mitigating.probing_rate.map(|said| said.current),
    };
    let idle = RequestedSet {
        heartbeat_interval: Some(HeartbeatInterval::DISABLED),
        ..RequestedSet::default()
    };
    ConfigurationRequest::new(mitigating, idle).unwrap()
}

/// One of each kind, by name.
fn messages() -> Vec<(&'static str, Value)> {
    fn value(message: impl serde::Serialize) -> Value {
        serde_json::to_value(message).unwrap()
    }

    let mid = Mid(123);
    let attack = Some(AttackStatus::AttackSuccessfullyMitigated);
    let statuses = || report().0.into_iter();
    let redirected = |records: &[&str]| RedirectedSignal {
        alt_server: "alt-server.example".parse().unwrap(),
        alt_server_records: records.iter().map(|text| text.parse().unwrap()).collect(),
    };
    let mut accept_list = value(Refusal {
        conflict: accept_list(),
    });
    // The lists to which the message refers.
    accept_list["ietf-dots-data-channel:dots-data"] = json!({"dots-client": [{"cuid": "c", "acls": {
        "acl": [{"name": "partners", "type": format!("{ACL}:ipv4-acl-type")}],
    }}]});
    let session = SessionConfiguration::default();
    vec![
        (
            "request",
            value(MitigationRequest::new(target(), Lifetime::Indefinite, false, None).unwrap()),
        ),
        (
            "efficacy-update",
            value(MitigationRequest::new(target(), Lifetime::RECOMMENDED, true, attack).unwrap()),
        ),
        (
            "granted",
            value(Granted {
                mid,
                lifetime: Lifetime::RECOMMENDED,
                conflict: Some(overlap()),
            }),
        ),
        (
            "refusal",
            value(Refusal {
                conflict: overlap(),
            }),
        ),
        ("accept-list", accept_list),
        ("report", value(report())),
        (
            "config",
            value(MitigationReport(
                statuses().map(MitigationStatus::config_only).collect(),
            )),
        ),
        (
            "non-config",
            value(MitigationReport(
                statuses().map(MitigationStatus::non_config_only).collect(),
            )),
        ),
        ("configuration-request", value(configuration_request())),
        (
            "configuration-report",
            value(ConfigurationReport::new(
                &session,
                &AcceptableConfiguration::default(),
            )),
        ),
        ("redirected", value(redirected(&[]))),
        (
            "redirected-records",
            value(redirected(&["192.0.2.1", "2001:db8:6401::1"])),
        ),
        (
            "heartbeat",
            value(Heartbeat {
                peer_hb_status: false,
            }),
        ),
    ]
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn yanglint_accepts_every_message() {
    let yang = match Yang::open("yang") {
        Ok(yang) => yang,
        Err(reason) => return println!("SKIPPED: {reason}"),
    };
    for (name, message) in messages() {
        let output = yang.check(name, &message);
        assert!(output.status.success(), "{name}: {}", said(&output));
    }
}

/// So that the test above means something.
#[test]
fn yanglint_refuses_what_is_almost_a_message() {
    let yang = match Yang::open("yang-refused") {
        Ok(yang) => yang,
        Err(reason) => return println!("SKIPPED: {reason}"),
    };
    let messages = messages();
    let spoilt = |name: &str, pointer: &str, value: Value| {
        let (_, message) = messages.iter().find(|(kind, _)| *kind == name).unwrap();
        let mut message = message.clone();
        let path = format!("/{SIGNAL_CHANNEL}:dots-signal{pointer}");
        *message.pointer_mut(&path).unwrap() = value;
        message
    };
    let current = "/mitigating-config/ack-timeout/current-value-decimal";
    let three_digits = Decimal::from_hundredths(200).to_string() + "0";
    for (place, instance) in [
        (
            "number",
            spoilt("configuration-report", current, json!(2.0)),
        ),
        (
            "digits",
            spoilt("configuration-report", current, json!(three_digits + "1")),
        ),
        (
            "counter",
            spoilt("report", "/scope/0/bytes-dropped", json!(1)),
        ),
        ("label", spoilt("report", "/scope/0/status", json!("over"))),
        (
            "address",
            spoilt("redirected-records", "/alt-server-record/0", json!("a.b")),
        ),
        (
            "frame",
            json!({SIGNAL_CHANNEL.to_owned() + ":dots-signal": {"signal-config": {}}}),
        ),
    ] {
        let output = yang.check(place, &instance);
        assert!(!output.status.success(), "{place} is not even seen");
        let said = said(&output);
        assert!(said.contains("dots-signal"), "{place}: {said}");
    }
}
