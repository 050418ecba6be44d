//! Properties of the codecs: what is written is read back, and no octets make them panic.
#![allow(clippy::unwrap_used)] // test helpers may panic

mod cbor;
mod strategies;

use cbor::*;
use dots::configuration::{ConfigurationReport, ConfigurationRequest};
use dots::heartbeat::Heartbeat;
use dots::identifiers::Mid;
use dots::lifetime::Lifetime;
use dots::limits;
use dots::mitigation::{AttackStatus, Granted, MitigationReport, MitigationRequest, Refusal};
use dots::path::Resource;
use dots::query::Content;
use dots::redirect::RedirectedSignal;
use dots::target::{PortRange, Protocol, Target, TargetPrefix};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use strategies::*;

/// Whatever is accepted is understood: writing it and reading it again gives the same.
fn read_all(octets: &[u8]) -> Result<(), TestCaseError> {
    macro_rules! read {
        ($($message:ty),*) => {$(
            match <$message>::decode(octets) {
                Ok(message) => prop_assert_eq!(<$message>::decode(&message.encode()), Ok(message)),
                Err(error) => {
                    let diagnostic = error.diagnostic();
                    prop_assert!(diagnostic.is_ascii() && diagnostic.len() <= limits::DIAGNOSTIC_BYTES);
                }
            }
        )*};
    }
    read!(
        MitigationRequest,
        Granted,
        Refusal,
        MitigationReport,
        ConfigurationRequest,
        ConfigurationReport,
        RedirectedSignal,
        Heartbeat
    );
    if let Ok(update) = MitigationRequest::decode_efficacy_update(octets, Lifetime::Indefinite) {
        prop_assert_eq!(MitigationRequest::decode(&update.encode()), Ok(update));
    }
    Ok(())
}

proptest! {
    #[test]
    fn requests_survive(request in request()) {
        prop_assert_eq!(MitigationRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn grants_survive(mid: u32, lifetime in lifetime(), conflict in option::of(conflict())) {
        let granted = Granted { mid: Mid(mid), lifetime, conflict };
        prop_assert_eq!(Granted::decode(&granted.encode()), Ok(granted));
    }

    #[test]
    fn refusals_survive(conflict in conflict()) {
        let refusal = Refusal { conflict };
        prop_assert_eq!(Refusal::decode(&refusal.encode()), Ok(refusal));
    }

    #[test]
    fn reports_survive(statuses in vec(status(), 1..4)) {
        let report = MitigationReport(statuses);
        prop_assert_eq!(MitigationReport::decode(&report.encode()), Ok(report));
    }

    #[test]
    fn configuration_requests_survive(request in configuration_request()) {
        prop_assert_eq!(ConfigurationRequest::decode(&request.encode()), Ok(request));
    }

    #[test]
    fn configuration_reports_survive(report in configuration_report()) {
        prop_assert_eq!(ConfigurationReport::decode(&report.encode()), Ok(report));
    }

    #[test]
    fn redirections_survive(
        name in "([a-z]{1,9}\\.){1,3}example",
        alt_server_records in vec(any::<std::net::IpAddr>(), 0..4),
    ) {
        let alt_server = name.parse().unwrap();
        let redirected = RedirectedSignal { alt_server, alt_server_records };
        prop_assert_eq!(RedirectedSignal::decode(&redirected.encode()), Ok(redirected));
    }

    #[test]
    fn arbitrary_queries_never_panic(queries in vec(".*|c=?.?", 0..4)) {
        let _ = Content::parse(queries.iter().map(String::as_str));
    }

    #[test]
    fn paths_survive(
        cdid in option::of("[^\\p{C}\\p{Zl}\\p{Zp}]{1,30}"),
        cuid in option::of("[^\\p{C}\\p{Zl}\\p{Zp}]{1,30}"),
        mid in option::of(any::<u32>()),
    ) {
        let mid = mid.filter(|_| cuid.is_some()).map(Mid);
        let [cdid, cuid] = [cdid, cuid];
        let resource = Resource::Mitigate {
            cdid: cdid.map(|text| text.parse().unwrap()),
            cuid: cuid.map(|text| text.parse().unwrap()),
            mid,
        };
        let segments = resource.segments();
        prop_assert_eq!(Resource::parse(segments.iter().map(String::as_str)), Ok(resource));
    }

    #[test]
    fn arbitrary_paths_never_panic(segments in vec(".*|(cdid|cuid|mid|sid)=.{0,12}|\\.well-known|dots|v1|mitigate|config|hb", 0..7)) {
        let _ = Resource::parse(segments.iter().map(String::as_str));
        let rooted = [".well-known", "dots", "mitigate"].into_iter().chain(segments.iter().map(String::as_str));
        let _ = Resource::parse(rooted);
    }

    #[test]
    fn arbitrary_target_texts_never_panic_and_are_stable(text in "\\PC*|[a-z0-9.:/\\[\\]@%-]{0,40}|[a-z]{1,5}://[a-z0-9.:/\\[\\]@%-]{0,30}") {
        if let Ok(prefix) = text.parse::<TargetPrefix>() {
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }
        if let Ok(name) = text.parse::<dots::target::DomainName>() {
            prop_assert_eq!(name.to_string().parse(), Ok(name));
        }
        if let Ok(uri) = text.parse::<dots::target::TargetUri>() {
            prop_assert_eq!(uri.to_string().parse(), Ok(uri));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..200)) {
        read_all(&octets)?;
    }

    #[test]
    fn arbitrary_cbor_never_panics(item in item()) {
        read_all(&item.bytes())?;
        read_all(&map([(30, map([(32, map([(33, item.clone()), (39, item.clone())]))]))]).bytes())?;
        read_all(&map([(46, item.clone())]).bytes())?;
        read_all(&scopes(vec![item]).bytes())?;
    }

    #[test]
    fn damaged_messages_never_panic(
        statuses in vec(status(), 1..3),
        request in request(),
        configuration in configuration_request(),
        damage in vec((any::<Index>(), any::<u8>(), 0..4_u8), 1..4),
    ) {
        for mut octets in [MitigationReport(statuses).encode(), request.encode(), configuration.encode()] {
            for (place, octet, kind) in &damage {
                let place = place.index(octets.len());
                match kind {
                    0 => octets[place] = *octet,
                    1 => octets.insert(place, *octet),
                    2 => { octets.remove(place); }
                    _ => octets.truncate(place + 1),
                }
                if octets.is_empty() {
                    break;
                }
            }
            read_all(&octets)?;
        }
    }
}

/// So that whatever `MitigationRequest::new` accepts can be read by a peer with the same limits.
#[test]
fn the_largest_request_fits_a_message() {
    let many = |text: String| std::iter::repeat_n(text, limits::LIST_ENTRIES);
    let label = "a".repeat(63);
    let name = [&label[..], &label, &label, &label[..61]].join(".");
    let uri = format!(
        "https://{name}/{}",
        "a".repeat(limits::TEXT_BYTES - 9 - name.len())
    );
    let prefix = "2001:db8:1111:1111:1111:1111:1111:1111/128".to_owned();
    let target = Target {
        prefixes: many(prefix).map(|text| text.parse().unwrap()).collect(),
        port_ranges: vec![PortRange::new(60000, Some(65535)).unwrap(); limits::LIST_ENTRIES],
        protocols: vec![Protocol(255); limits::LIST_ENTRIES],
        fqdns: many(name).map(|text| text.parse().unwrap()).collect(),
        uris: many(uri).map(|text| text.parse().unwrap()).collect(),
        aliases: many("a".repeat(255))
            .map(|text| text.parse().unwrap())
            .collect(),
    };
    let status = Some(AttackStatus::UnderAttack);
    let request =
        MitigationRequest::new(target.clone(), Lifetime::Indefinite, false, status).unwrap();
    assert_eq!(MitigationRequest::decode(&request.encode()), Ok(request));

    let mut more = target;
    more.protocols.push(Protocol::UDP);
    assert!(MitigationRequest::new(more, Lifetime::Indefinite, false, status).is_err());
}
