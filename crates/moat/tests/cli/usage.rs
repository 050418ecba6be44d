//! Exit codes, and errors for people and for programs.

use super::support::{folder, moat};

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(' ').filter(|word| !word.is_empty())
}

/// 2: wrong use or configuration. 1: refused or failed.
#[test]
fn the_exit_code_says_whose_fault_it_is() {
    let folder = folder();
    std::fs::write(folder.path().join("wrong.toml"), "listen = 1\n").unwrap();
    let cases = [
        (2, "mitigate"),
        (2, "mitigate 127.0.0.1"),
        (2, "mitigate www.example"),
        (2, "mitigate 203.0.113.7 --port 70000"),
        (2, "mitigate 203.0.113.7 --protocol carrier-pigeon"),
        (2, "mitigate 203.0.113.7 --lifetime 0"),
        (2, "mitigate 203.0.113.7 --port 53 --protocol icmp"),
        (2, "withdraw one"),
        (2, "efficacy 1"),
        (2, "efficacy 1 fine"),
        (1, "efficacy 1 stopped"),
        (2, "explain 203.0.113.0/33"),
        (2, "config check none.toml"),
        (2, "config check wrong.toml"),
        (2, "server --config wrong.toml"),
        (2, "client --config wrong.toml"),
        (2, "lab run atlantis"),
        (2, "pvd sign"),
        (2, "pvd sign none.json --key home-key.pem"),
        (2, "pvd sign none.json --key home-key.pem --key-id 1"),
        (2, "pvd verify wrong.toml"),
        (2, "pvd verify none.jose --authorities ca.pem"),
        (2, "pvd verify wrong.toml --authorities home-key.pem"),
        (2, "pvd verify wrong.toml --pin ca.pem"),
        (2, "pvd verify wrong.toml --pvd cafe.example --tlsa abc"),
        (1, "pvd verify wrong.toml --authorities ca.pem"),
        (2, "pki psk"),
        (1, "pki psk home"),
        (1, "pki issue --client home"),
        (1, "mitigate 203.0.113.7"),
        (1, "status"),
        (1, "sessions"),
        (2, "pvd watch"),
        (2, "pvd watch --interface a/b"),
        (2, "pvd watch --interface wlan0=safe"),
        (2, "pvd tunnel"),
        (2, "pvd tunnel updown"),
        (2, "pvd tunnel up"),
        (2, "pvd tunnel up --json none.json"),
        (2, "pvd tunnel down --json wrong.toml"),
        (1, "pvd list"),
        (1, "pvd list --watch"),
        (1, "pvd get fixed.example"),
        (2, "pvd exec -- true"),
        (2, "pvd exec --pvd fixed.example"),
        (125, "pvd exec --pvd fixed.example -- true"),
        (0, "lab list"),
        (0, "--help"),
        (0, "mitigate --help"),
        (0, "--version"),
    ];
    for (code, line) in cases {
        let ran = moat(folder.path(), words(line));
        assert_eq!(ran.code, Some(code), "{line}: {}{}", ran.stdout, ran.stderr);
        if code == 0 {
            assert_eq!(ran.stderr, "", "{line}");
        }
    }
}

/// A program finds a reason on standard output, whatever went wrong.
#[test]
fn with_json_every_failure_is_an_object_on_standard_output() {
    let folder = folder();
    let cases = [
        (
            "mitigate 203.0.113.7 --json",
            "no moat daemon answers at none.sock",
        ),
        ("status --json", "no moat daemon answers at none.sock"),
        (
            "status --watch --json",
            "no moat daemon answers at none.sock",
        ),
        (
            "mitigate 203.0.113.7 --port 53 --protocol icmp --json",
            "icmp has no ports; leave out the ports",
        ),
        (
            "mitigate 127.0.0.1 --json",
            "invalid value '127.0.0.1' for '<TARGET>...'",
        ),
        (
            "mitigate --json",
            "the following required arguments were not provided",
        ),
        ("pvd list --json", "nobody watches PvDs at none.sock"),
        ("config check none.toml --json", "none.toml: cannot be read"),
        ("pki psk home --json", "./home.psk exists already"),
        ("lab run atlantis --json", "atlantis"),
    ];
    for (line, reason) in cases {
        let ran = moat(folder.path(), words(line));
        let told = ran.json()["error"]["reason"].to_string();
        assert!(told.contains(reason), "{line}: {told}");
        assert_eq!(ran.stderr, "", "{line}");
        assert_ne!(ran.code, Some(0), "{line}");
    }
}

/// Errors say what to do.
#[test]
fn without_json_errors_go_to_standard_error_with_advice() {
    let folder = folder();
    let cases = [
        (
            "status",
            "start one with `moat client`, `moat server` or `moat gateway`",
        ),
        (
            "mitigate 224.0.0.1",
            "write an address or prefix such as 203.0.113.7",
        ),
        ("withdraw", "Usage: moat withdraw"),
        (
            "withdraw foo",
            "write its number, which `moat status` shows",
        ),
        (
            "mitigate 203.0.113.7/28",
            "write 203.0.113.0/28, or 203.0.113.7",
        ),
        (
            "mitigate 203.0.113.7 --lifetime 4294967296",
            "from 1 to 4294967295",
        ),
        (
            "config check none.toml",
            "check its name, and the folder you are in",
        ),
        ("mitigate 203.0.113.7 --port 0x50", "write 80, or 8000-8080"),
        ("pki psk home", "--force to replace it"),
    ];
    for (line, advice) in cases {
        let ran = moat(folder.path(), words(line));
        assert!(ran.stderr.contains(advice), "{line}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{line}");
    }
}

/// A daemon that cannot keep its files says which keys name others.
#[test]
fn a_daemon_without_room_for_its_files_says_where_to_name_others() {
    let folder = folder();
    let text = "state = \"ca.pem/client.db\"\ncontrol = \"c.sock\"\n\
                [[pvd]]\nid = \"fixed.example\"\nprefixes = [\"203.0.113.0/28\"]\n\
                [[pvd.dots]]\nname = \"dots.fixed.example\"\naddresses = [\"203.0.113.129\"]\n\
                psk_identity = \"home\"\npsk_key_file = \"home.psk\"\n";
    std::fs::write(folder.path().join("client.toml"), text).unwrap();
    let ran = moat(folder.path(), words("client --config client.toml"));
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("ca.pem"), "{}", ran.stderr);
    assert!(
        ran.stderr.trim_end().ends_with("`state` and `control`"),
        "{}",
        ran.stderr
    );
}

/// As with `moat lab list | head -c 0`.
#[test]
fn a_reader_who_goes_away_ends_the_program_in_silence() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_moat"))
        .args(["lab", "list"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(told, "");
    assert_eq!(output.status.code(), Some(0));
}

/// The exit code is what it would be if somebody read.
#[test]
fn a_reader_of_complaints_who_goes_away_changes_no_exit_code() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_moat"))
        .args(["config", "check", "none.toml"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

/// A daemon that was stopped (as by SIGSTOP) takes callers and answers none.
#[test]
fn a_daemon_that_says_nothing_is_not_waited_for_long() {
    let folder = folder();
    let _silent = std::os::unix::net::UnixListener::bind(folder.path().join("s.sock")).unwrap();
    let ran = moat(folder.path(), words("status --control s.sock"));
    assert_eq!(ran.code, Some(1));
    assert_eq!(
        ran.stderr.trim_end(),
        "moat: the moat daemon at s.sock gave no answer within 5 s; is it stopped?"
    );
}

/// Whoever asks for help is told units, defaults and examples.
#[test]
fn help_says_units_defaults_and_examples() {
    let folder = folder();
    let help = |command: &str| moat(folder.path(), [command, "--help"]).stdout;
    let mitigate = help("mitigate");
    for part in [
        "0 to 65535",
        "seconds",
        "3600",
        "Examples:",
        "10 seconds",
        "Name all ports in one request",
    ] {
        assert!(mitigate.contains(part), "{part}: {mitigate}");
    }
    for command in ["withdraw", "status", "explain"] {
        let text = help(command);
        assert!(text.contains("Example"), "{text}");
        assert!(text.contains("/run/moat/client.sock"), "{text}");
    }
    let top = moat(folder.path(), ["--help"]).stdout;
    assert!(top.contains("Exit codes:"), "{top}");
}
