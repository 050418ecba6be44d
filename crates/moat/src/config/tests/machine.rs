//! What `moat config check` finds missing on the machine.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use super::super::{Report, check};
use super::Folder;

/// A server's file, with this before its tables.
fn server(more: &str) -> String {
    format!(
        "certificate = \"dots.fixed.example.pem\"\nprivate_key = \"dots.fixed.example-key.pem\"\n\
         trust_anchors = \"ca.pem\"\n{more}\n\
         [[customer]]\nname = \"home\"\nprefixes = [\"203.0.113.0/28\"]\n\
         [mitigator.nftables]\nprogram = \"bin/nft\"\n"
    )
}

/// Everything that a server needs is there, but for what the test takes away.
const HERE: &str =
    "state = \"server.db\"\ncontrol = \"server.sock\"\nlisten = [\"127.0.0.1:FREE\"]";

fn equipped() -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("bin")).unwrap();
    let nft = folder.path().join("bin/nft");
    fs::write(&nft, "").unwrap();
    fs::set_permissions(&nft, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A port that is free for both transports.
fn free() -> u16 {
    let both = || {
        let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
        let address = socket.local_addr().ok()?;
        TcpListener::bind(address).ok().map(|_| address.port())
    };
    std::iter::from_fn(|| Some(both()))
        .flatten()
        .next()
        .unwrap()
}

fn check_with_machine(folder: &Folder, more: &str) -> Report {
    let more = more.replace("FREE", &free().to_string());
    check(&folder.write(&server(&more))).unwrap()
}

/// The one thing that is told, from the name of its key on.
fn told(folder: &Folder, report: &Report) -> String {
    let [problem] = report.problems.as_slice() else {
        panic!("{report}")
    };
    let problem = folder.strip(problem);
    problem.splitn(4, ':').nth(3).unwrap().trim().to_owned()
}

#[test]
fn a_missing_nft_is_told() {
    let folder = equipped();
    let nft = folder.path().join("bin/nft");
    fs::set_permissions(&nft, fs::Permissions::from_mode(0o644)).unwrap();
    for _ in ["one that cannot be run", "none"] {
        let report = check_with_machine(&folder, HERE);
        assert!(!report.is_ok());
        assert!(
            told(&folder, &report)
                .starts_with("mitigator.nftables: there is no program bin/nft here"),
            "{report}"
        );
        drop(fs::remove_file(&nft));
    }
}

#[test]
fn an_address_of_another_machine_is_told_and_one_that_is_taken_is_a_warning() {
    let folder = equipped();
    let listen = |address: &str| HERE.replace("127.0.0.1:FREE", address);
    let report = check_with_machine(&folder, &listen("192.0.2.1"));
    assert!(!report.is_ok());
    let text = folder.strip(&report);
    for transport in ["UDP", "TCP"] {
        let start = format!("listen[0]: cannot listen on 192.0.2.1:4646, {transport}: ");
        assert!(text.contains(&start), "{text}");
    }
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let report = check_with_machine(&folder, &listen(&address));
    assert!(report.is_ok());
    let start = format!("warning: listen[0]: something listens on {address}, UDP, already");
    assert!(told(&folder, &report).starts_with(&start), "{report}");
}

#[test]
fn files_and_folders_in_the_way_are_told() {
    let folder = equipped();
    fs::write(folder.path().join("file"), "").unwrap();
    for (from, to, wanted) in [
        ("server.db", "bin", "state: bin is not a database"),
        ("server.sock", "bin", "control: bin is not a control socket"),
        (
            "server.sock",
            "file",
            "control: file is not a control socket",
        ),
        ("server.db", "file/server.db", "state: file is not a folder"),
        (
            "server.sock",
            "file/run/server.sock",
            "control: file is not a folder",
        ),
    ] {
        let report = check_with_machine(&folder, &HERE.replace(from, to));
        assert!(!report.is_ok());
        assert!(told(&folder, &report).starts_with(wanted), "{report}");
    }
    // Folders that are missing are made by the daemon.
    let report = check_with_machine(&folder, &HERE.replace("server.db", "var/lib/server.db"));
    assert!(report.problems.is_empty(), "{report}");
    assert!(!folder.path().join("var").exists());
}

#[test]
fn a_state_of_another_program_is_told() {
    let folder = equipped();
    let state = folder.path().join("server.db");
    let database = |id: i32, cookie: u8| {
        let mut header = b"SQLite format 3\0".to_vec();
        header.resize(100, 0);
        header[43] = cookie;
        header[68..72].copy_from_slice(&id.to_be_bytes());
        header
    };
    for (content, is_ours) in [
        (Vec::new(), true),
        (database(0, 0), true),
        (database(store::APPLICATION_ID, 4), true),
        (database(0, 4), false),
        (database(0x1234, 4), false),
        (b"# notes\n".to_vec(), false),
    ] {
        fs::write(&state, content).unwrap();
        let report = check_with_machine(&folder, HERE);
        assert_eq!(report.is_ok(), is_ours, "{report}");
        if !is_ours {
            assert!(
                told(&folder, &report).contains("server.db is not a database of moat"),
                "{report}"
            );
        }
    }
}

#[test]
fn an_address_to_send_from_that_is_not_here_is_a_hint() {
    let folder = Folder::new();
    let text = |address: &str| {
        format!(
            "state = \"client.db\"\ncontrol = \"client.sock\"\n[[pvd]]\nid = \"fixed.example\"\n\
             prefixes = [\"203.0.113.0/28\"]\naddresses = [\"{address}\"]\n\
             [[pvd.dots]]\nname = \"dots.fixed.example\"\naddresses = [\"203.0.113.9\"]\n\
             certificate = \"home.pem\"\nprivate_key = \"home-key.pem\"\ntrust_anchors = \"ca.pem\"\n"
        )
    };
    let report = check(&folder.write(&text("203.0.113.1"))).unwrap();
    assert!(report.is_ok(), "{report}");
    let said = report.to_string();
    assert!(
        said.contains("203.0.113.1 is on no interface of this machine"),
        "{said}"
    );
}
