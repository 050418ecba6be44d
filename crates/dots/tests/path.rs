//! Which Uri-Path is which resource, and which is none.
#![allow(clippy::unwrap_used)] // test helpers may panic

use dots::identifiers::{Cuid, IdentifierError, Mid, Sid};
use dots::path::{Parameter, ParameterError, PathError, Resource};

fn parse(path: &str) -> Result<Resource, PathError> {
    Resource::parse(path.split('/').filter(|segment| !segment.is_empty()))
}

fn mitigate(cdid: Option<&str>, cuid: Option<&str>, mid: Option<u32>) -> Resource {
    Resource::Mitigate {
        cdid: cdid.map(|text| text.parse().unwrap()),
        cuid: cuid.map(|text| text.parse().unwrap()),
        mid: mid.map(Mid),
    }
}

/// Covers: S-005, S-011
#[test]
fn the_paths_of_the_rfc_are_read_and_written() {
    const CUID: &str = "dz6pHjaADkaFTbjr0JGBpw";
    for (path, resource) in [
        (
            "mitigate/cuid=dz6pHjaADkaFTbjr0JGBpw",
            mitigate(None, Some(CUID), None),
        ),
        (
            "mitigate/cuid=dz6pHjaADkaFTbjr0JGBpw/mid=123",
            mitigate(None, Some(CUID), Some(123)),
        ),
        (
            "mitigate/cdid=7eeaf349529eb55ed50113/cuid=dz6pHjaADkaFTbjr0JGBpw/mid=4294967295",
            mitigate(Some("7eeaf349529eb55ed50113"), Some(CUID), Some(u32::MAX)),
        ),
        (
            "mitigate/cuid=a=b/mid=0",
            mitigate(None, Some("a=b"), Some(0)),
        ),
        ("mitigate", mitigate(None, None, None)),
        ("config", Resource::Config { sid: None }),
        (
            "config/sid=123",
            Resource::Config {
                sid: Some(Sid(123)),
            },
        ),
        ("hb", Resource::Heartbeat),
    ] {
        assert_eq!(
            resource.segments().join("/"),
            format!(".well-known/dots/{path}")
        );
        assert_eq!(
            parse(&format!(".well-known/dots/{path}")).as_ref(),
            Ok(&resource)
        );
        assert_eq!(
            parse(&format!(".well-known/dots/v1/{path}")).as_ref(),
            Ok(&resource),
            "version"
        );
    }
}

/// Covers: S-005
#[test]
fn other_paths_are_not_found() {
    for path in [
        "",
        ".well-known",
        ".well-known/dots",
        ".well-known/dots/v1",
        ".well-known/dots/v1/v1/hb",
        ".well-known/dots/v2/hb",
        ".well-known/dots/tm-setup",
        ".well-known/dots/Mitigate",
        ".well-known/core",
        "dots/hb",
        "v1/.well-known/dots/hb",
    ] {
        assert_eq!(parse(path), Err(PathError::NotFound), "{path}");
    }
}

/// Covers: S-011, S-012, S-027
#[test]
fn wrong_parameters_are_invalid_with_a_reason() {
    use ParameterError::*;
    let empty = |parameter| Identifier {
        parameter,
        error: IdentifierError::Empty,
    };
    for (path, reason) in [
        ("mitigate/mid=1/cuid=a", Order(Parameter::Cuid)),
        ("mitigate/cuid=a/cdid=b", Order(Parameter::Cdid)),
        ("mitigate/cuid=a/cuid=b", Order(Parameter::Cuid)),
        ("mitigate/cuid=a/mid=1/mid=2", Order(Parameter::Mid)),
        ("mitigate/mid=1", MidWithoutCuid),
        ("mitigate/cdid=a/mid=1", MidWithoutCuid),
        ("mitigate/cuid=", empty(Parameter::Cuid)),
        ("mitigate/cdid=", empty(Parameter::Cdid)),
        ("mitigate/cuid=a/mid=", empty(Parameter::Mid)),
        ("mitigate/cuid=a/mid=4294967296", NotANumber(Parameter::Mid)),
        ("mitigate/cuid=a/mid=-1", NotANumber(Parameter::Mid)),
        ("mitigate/cuid=a/mid=+1", NotANumber(Parameter::Mid)),
        ("mitigate/cuid=a/mid=01", NotANumber(Parameter::Mid)),
        ("mitigate/cuid=a/mid=1x", NotANumber(Parameter::Mid)),
        ("mitigate/cuid", Unknown),
        ("mitigate/CUID=a", Unknown),
        ("mitigate/cuid=a/sid=1", Unknown),
        ("mitigate/cuid=a/mid=1/x", Unknown),
        ("config/sid=", empty(Parameter::Sid)),
        ("config/sid=1/sid=1", Order(Parameter::Sid)),
        ("config/cuid=a", Unknown),
        ("hb/cuid=a", Unknown),
    ] {
        assert_eq!(
            parse(&format!(".well-known/dots/{path}")),
            Err(PathError::Invalid(reason)),
            "{path}"
        );
    }
    let long = format!(".well-known/dots/mitigate/cuid={}", "a".repeat(251));
    let error = IdentifierError::TooLong { limit: 250 };
    let parameter = Parameter::Cuid;
    assert_eq!(
        parse(&long),
        Err(PathError::Invalid(Identifier { parameter, error }))
    );
    assert_eq!(
        parse(".well-known/dots/hb/x").unwrap_err().to_string(),
        "Uri-Path: unknown parameter"
    );
    let empty = parse(".well-known/dots/mitigate/cuid=").unwrap_err();
    assert_eq!(empty.to_string(), "Uri-Path: cuid is empty");
}

/// The digest is that of the RFC 6234 test vector "abc". Covers: S-013
#[test]
fn the_recommended_cuid_is_half_a_digest_in_22_characters() {
    let digest = [
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22,
        0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00,
        0x15, 0xad,
    ];
    let cuid = Cuid::from_spki_sha256(&digest);
    assert_eq!(cuid.as_str(), "ungWv48Bz-pBQUDeXa4iIw");
    assert_eq!(cuid.as_str().len(), 22);
}

#[test]
fn identifiers_are_printable() {
    assert_eq!(
        "a\nb".parse::<Cuid>(),
        Err(IdentifierError::ControlCharacter)
    );
    for hidden in [
        "a\u{202e}b",
        "\u{200b}",
        "a\u{2028}",
        "\u{2066}b",
        "\u{feff}",
    ] {
        assert_eq!(
            hidden.parse::<Cuid>(),
            Err(IdentifierError::ControlCharacter),
            "{hidden:?}"
        );
    }
    let path = [".well-known", "dots", "mitigate", "cuid=a\u{202e}b"];
    assert_eq!(
        Resource::parse(path).unwrap_err().to_string(),
        "Uri-Path: cuid contains a control or formatting character"
    );
    assert_eq!("".parse::<Cuid>(), Err(IdentifierError::Empty));
    assert!("caf\u{e9}-\u{5d0}".parse::<Cuid>().is_ok());
    assert!("a".repeat(250).parse::<Cuid>().is_ok());
}
