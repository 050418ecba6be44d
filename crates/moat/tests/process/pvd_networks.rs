//! Networks of a device: sealed, signed, and read by what joins them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Output, Stdio};

use openssl::pkey::{PKey, Private};
use tempfile::TempDir;

use crate::support::{MOAT, Outcome, isolated, run, until};

/// A name and a passphrase that would end every text in quotes.
const HOSTILE: [&str; 2] = [r#"a"\n}network={"#, r#" ";psk=\"x '$(id) "#];

const OBJECT: &str = r#"{"identifier":"home.example","expires":"2099-01-01T00:00:00Z","prefixes":[],
 "vendor-moat":{"ipv4Prefixes":["203.0.113.0/28"]}}"#;

/// Where things are sealed, signed and applied; a device, and its owner with a key that the device knows.
struct Desk(TempDir);

impl Desk {
    fn new() -> Outcome<Self> {
        let desk = Self(tempfile::tempdir()?);
        desk.write("home.json", OBJECT)?;
        desk.keys("owner", &PKey::generate_ed25519()?)?;
        desk.keys("device", &PKey::generate_x25519()?)?;
        desk.keys("other", &PKey::generate_x25519()?)?;
        Ok(desk)
    }

    fn keys(&self, name: &str, key: &PKey<Private>) -> Outcome {
        let private = String::from_utf8(key.private_key_to_pem_pkcs8()?)?;
        self.write(&format!("{name}-key.pem"), &private)?;
        let public = String::from_utf8(key.public_key_to_pem()?)?;
        self.write(&format!("{name}.pub"), &public)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    /// For its owner alone.
    fn write(&self, name: &str, content: &str) -> Outcome {
        fs::write(self.path(name), content)?;
        let mode = fs::Permissions::from_mode(0o600);
        Ok(fs::set_permissions(self.path(name), mode)?)
    }

    fn moat(&self, line: &str) -> Outcome<Output> {
        let words = line.split(' ');
        let command = Command::new(MOAT)
            .arg("pvd")
            .args(words)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output();
        Ok(command?)
    }

    /// What a command prints that works.
    fn done(&self, line: &str) -> Outcome<String> {
        let output = self.moat(line)?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?),
            false => Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }

    /// A signed object with these networks, sealed for the device.
    fn provision(&self, networks: &serde_json::Value) -> Outcome {
        let credentials = serde_json::json!({ "networks": networks });
        self.write("networks.json", &credentials.to_string())?;
        let sealed = self.done("networks seal networks.json --for device.pub --into home.json")?;
        self.write("sealed.json", &sealed)?;
        let signed = self.done("sign sealed.json --key owner-key.pem --key-id owner")?;
        self.write("home.jws", &signed)
    }
}

const APPLY: &str = "networks apply home.jws --pin home.example=owner.pub --key device-key.pem";

fn networks() -> serde_json::Value {
    let [ssid, passphrase] = HOSTILE;
    serde_json::json!([
        {"ssid": "home", "passphrase": "correct horse"},
        {"ssid": ssid, "passphrase": passphrase, "security": "wpa3", "hidden": true},
        {"ssidHex": "ff00", "psk": "0a".repeat(32)},
        {"ssid": "neighbour", "security": "open"},
    ])
}

fn mode(path: &str) -> Outcome<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o777)
}

/// Killed when it is dropped.
struct Supplicant(Child);

impl Drop for Supplicant {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Covers: P-049, P-051
#[test]
fn wpa_supplicant_has_the_networks_in_their_order() -> Outcome {
    isolated(&["wpa_supplicant", "wpa_cli", "wpa_passphrase"], || {
        let desk = Desk::new()?;
        desk.provision(&networks())?;
        let control = desk.path("control");
        let before = format!(
            "ctrl_interface={control}\ncountry=DE\n\nnetwork={{\n\tssid=\"old\"\n\tkey_mgmt=NONE\n}}\n"
        );
        desk.write("lo.conf", &before)?;
        let output = desk.moat(&format!("{APPLY} --format wpa-supplicant --output lo.conf"))?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said)?;
        assert!(output.status.success(), "{said}");
        assert!(said.starts_with("4 networks of home.example"), "{said}");
        let file = desk.path("lo.conf");
        assert_eq!(mode(&file)?, 0o600);
        let text = fs::read_to_string(&file)?;
        assert_eq!(text.matches("network={").count(), 4, "{text}");

        assert!(
            text.contains("country=DE\n") && !text.contains("old"),
            "{text}"
        );
        let supplicant = Command::new("wpa_supplicant")
            .args(["-D", "none", "-i", "lo", "-c", &file])
            .stdout(Stdio::null())
            .spawn()?;
        let _supplicant = Supplicant(supplicant);
        let ask = |words: &[&str]| -> Outcome<String> {
            let fixed = ["-p", &control, "-i", "lo"];
            Ok(run("wpa_cli", &[&fixed, words].concat())?.trim().to_owned())
        };
        until("it is there", || Ok(ask(&["status"]).is_ok()))?;
        let told = |index: usize, what: &str| ask(&["get_network", &index.to_string(), what]);
        let management = [
            "WPA-PSK WPA-PSK-SHA256 SAE",
            "SAE",
            "WPA-PSK WPA-PSK-SHA256",
            "NONE",
        ];
        let names = [
            "\"home\"",
            "61225c6e7d6e6574776f726b3d7b",
            "ff00",
            "\"neighbour\"",
        ];
        for (index, (name, management)) in names.into_iter().zip(management).enumerate() {
            let ssid = told(index, "ssid")?;
            // It shows what is printable in quotes.
            let quoted = format!("\"{}\"", HOSTILE[0]);
            assert!(ssid == name || ssid == quoted, "{ssid}");
            assert_eq!(told(index, "key_mgmt")?, management);
            assert_eq!(told(index, "priority")?, (4 - index).to_string());
        }
        assert_eq!(told(1, "scan_ssid")?, "1");
        assert_eq!(told(1, "ieee80211w")?, "2");
        assert_eq!(told(4, "ssid")?, "FAIL");

        // Others come, and it is told to read them.
        desk.provision(&serde_json::json!([{"ssid": "attic", "passphrase": "correct horse"}]))?;
        let again = desk.moat(&format!("{APPLY} --format wpa-supplicant --output lo.conf"))?;
        assert!(again.status.success());
        assert_eq!(ask(&["reconfigure"])?, "OK");
        until("it has read them", || {
            Ok(ask(&["list_networks"]).is_ok_and(|list| list.contains("attic")))
        })?;
        assert_eq!(fs::read_to_string(&file)?.matches("country=DE").count(), 1);

        let made = run("wpa_passphrase", &["home", "correct horse"])?;
        let key = made.lines().find_map(|line| line.strip_prefix("\tpsk="));
        let key = key.ok_or("no key")?;
        assert!(text.contains(&format!("\tpsk={key}\n")), "{text}");
        let password: String = HOSTILE[1].bytes().map(|it| format!("{it:02x}")).collect();
        assert!(
            text.contains(&format!("\tsae_password={password}\n")),
            "{text}"
        );
        Ok(())
    })
}

/// Covers: P-049, P-050, P-051
#[test]
fn networkmanager_gets_a_file_for_each_network_and_those_before_go() -> Outcome {
    let desk = Desk::new()?;
    fs::create_dir(desk.path("profiles"))?;
    desk.write("profiles/by-hand.nmconnection", "")?;
    desk.provision(&networks())?;
    let apply = format!("{APPLY} --format networkmanager --output profiles");
    desk.done(&apply)?;
    let profiles = || -> Outcome<Vec<String>> {
        let found = fs::read_dir(desk.path("profiles"))?;
        let names = found.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let mut names = names.collect::<Outcome<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let before = profiles()?;
    assert_eq!(before.len(), 5);
    let hostile = before.iter().find(|name| name.contains("-61225c6e"));
    let hostile = format!("profiles/{}", hostile.ok_or("no file")?);
    assert_eq!(mode(&desk.path(&hostile))?, 0o600);
    let text = fs::read_to_string(desk.path(&hostile))?;
    let octets: String = HOSTILE[0].bytes().map(|it| format!("{it};")).collect();
    for line in [
        &format!("ssid={octets}"),
        "key-mgmt=sae",
        r#"psk=\s";psk=\\"x\s'$(id)\s"#,
        "hidden=true",
        "autoconnect-priority=3",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}: {text}");
    }
    assert_eq!(text.matches("psk=").count(), 2, "{text}");

    // The router has failed, and there is a new one.
    desk.provision(&serde_json::json!([{"ssid": "new", "passphrase": "another key"}]))?;
    desk.done(&apply)?;
    let after = profiles()?;
    assert_eq!(after.len(), 2);
    assert!(after.contains(&"by-hand.nmconnection".to_owned()));
    assert!(
        after
            .iter()
            .any(|name| name.ends_with("-6e6577.nmconnection"))
    );
    Ok(())
}

/// Covers: P-038, P-051
#[test]
fn what_is_not_signed_for_this_device_changes_nothing_and_gives_nothing_away() -> Outcome {
    let desk = Desk::new()?;
    desk.provision(&serde_json::json!([{"ssid": "home", "passphrase": "correct horse"}]))?;
    desk.write("before.conf", "before")?;
    let rest = "--format wpa-supplicant --output before.conf";
    let signed = fs::read_to_string(desk.path("home.jws"))?;
    let (input, _) = signed.rsplit_once('.').ok_or("no signature")?;
    desk.write("forged.jws", &format!("{input}.{}", "A".repeat(86)))?;
    let plain = desk.done("sign home.json --key owner-key.pem --key-id owner")?;
    desk.write("plain.jws", &plain)?;
    let pin = "--pin home.example=owner.pub";
    for (line, code, reason) in [
        (
            format!("forged.jws {pin} --key device-key.pem"),
            1,
            "the signature is not one",
        ),
        (
            format!("sealed.json {pin} --key device-key.pem"),
            1,
            "it is no compact JWS",
        ),
        (
            "home.jws --pin home.example=other.pub --key device-key.pem".to_owned(),
            2,
            "neither one of P-256 nor of Ed25519",
        ),
        (
            "home.jws --pin other.example=owner.pub --key device-key.pem".to_owned(),
            1,
            "no key is known for home.example",
        ),
        (
            format!("home.jws {pin} --key other-key.pem"),
            1,
            "sealed for another key",
        ),
        (
            format!("plain.jws {pin} --key device-key.pem"),
            1,
            "home.example has no networks",
        ),
        (
            format!("home.jws {pin} --key owner-key.pem"),
            2,
            "P-256 or X25519",
        ),
        ("home.jws --key device-key.pem".to_owned(), 2, "required"),
    ] {
        let output = desk.moat(&format!("networks apply {line} {rest}"))?;
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        assert!(said.contains(reason), "{line}: {said}");
        assert!(!said.contains("correct"), "{said}");
    }
    assert_eq!(fs::read_to_string(desk.path("before.conf"))?, "before");

    // What a device could not use is not sealed, and not quoted.
    for wrong in [
        r#"{"networks":[{"ssid":"home","passphrase":"correct\nhorse"}]}"#,
        r#"{"networks":[{"ssid":"home","passphrase":"correct"},{"ssid":"a","security":"open"}]}"#,
        r#"{"networks":[{"ssid":"home","passphrase":"correct horse"}"#,
    ] {
        desk.write("networks.json", wrong)?;
        let seal = "networks seal networks.json --for device.pub --into home.json";
        let output = desk.moat(seal)?;
        let said = String::from_utf8([output.stdout, output.stderr].concat())?;
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!said.contains("correct"), "{said}");
    }
    fs::set_permissions(
        desk.path("networks.json"),
        fs::Permissions::from_mode(0o644),
    )?;
    let output = desk.moat("networks seal networks.json --for device.pub --into home.json")?;
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}
