//! Each CBOR body of the signal channel: what is read is what is written.

use std::fmt::Debug;

use dots::DecodeError;
use dots::configuration::{
    AcceptableConfiguration, ConfigurationReport, ConfigurationRequest, SessionConfiguration,
};
use dots::heartbeat::Heartbeat;
use dots::lifetime::Lifetime;
use dots::limits;
use dots::mitigation::{Granted, MitigationReport, MitigationRequest, Refusal};
use dots::query::Content;
use dots::redirect::RedirectedSignal;
use dots::target::Target;
use serde::Serialize;

use crate::channel::assert_is_diagnostic;

/// Nothing is written much longer than it was read: an address may be written in fewer letters than we use.
const GROWTH: usize = 2;

/// Holds a decoder to its encoder; gives the message if there is one.
fn check<T: PartialEq + Debug + Serialize>(
    body: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> Option<T> {
    match decode(body) {
        Ok(message) => {
            let written = encode(&message);
            assert!(written.len() <= (GROWTH * body.len()).min(limits::MESSAGE_BYTES));
            assert_eq!(decode(&written).as_ref(), Ok(&message));
            let json = serde_json::to_vec(&message);
            assert!(json.is_ok_and(|json| !json.is_empty()));
            Some(message)
        }
        Err(error) => {
            assert_is_diagnostic(&error.diagnostic());
            None
        }
    }
}

fn check_target(target: &Target) {
    assert!(target.is_resource_named());
    assert!(target.overlaps(target));
}

/// PUT on `mitigate`.
pub fn mitigation_request(body: &[u8]) {
    let request = check(body, MitigationRequest::decode, MitigationRequest::encode);
    if let Some(request) = request {
        check_target(&request.target);
        let MitigationRequest {
            target,
            lifetime,
            trigger_mitigation,
            attack_status,
            ..
        } = request.clone();
        let made = MitigationRequest::new(target, lifetime, trigger_mitigation, attack_status);
        assert_eq!(made, Ok(request));
    }
}

/// PUT on `mitigate` with If-Match.
pub fn efficacy_update(body: &[u8]) {
    let decode =
        |body: &[u8]| MitigationRequest::decode_efficacy_update(body, Lifetime::Indefinite);
    if let Some(update) = check(body, decode, MitigationRequest::encode) {
        check_target(&update.target);
        assert!(update.attack_status.is_some());
    }
}

/// 2.01 and 2.04 to a PUT on `mitigate`.
pub fn granted(body: &[u8]) {
    check(body, Granted::decode, Granted::encode);
}

/// 4.09 to a PUT on `mitigate`.
pub fn refusal(body: &[u8]) {
    check(body, Refusal::decode, Refusal::encode);
}

/// 2.05 to a GET on `mitigate`.
pub fn mitigation_report(body: &[u8]) {
    let report = check(body, MitigationReport::decode, MitigationReport::encode);
    let Some(report) = report else { return };
    assert!(report.0.len() <= limits::REPORT_ENTRIES);
    let whole = report.encode().len();
    for content in [Content::Config, Content::NonConfig, Content::All] {
        let parts = report.0.iter().map(|entry| content.of(entry.clone()));
        let encoded = MitigationReport::encode_up_to(whole, parts.clone());
        let parts = MitigationReport(parts.collect());
        assert!(parts.0.iter().all(|part| content.of(part.clone()) == *part));
        assert_eq!(encoded, Some(parts.encode()));
    }
}

/// PUT on `config`.
pub fn configuration_request(body: &[u8]) {
    let decode = ConfigurationRequest::decode;
    let Some(request) = check(body, decode, ConfigurationRequest::encode) else {
        return;
    };
    let acceptable = AcceptableConfiguration::default();
    if acceptable.check(&request).is_ok() {
        let configuration = request.over(&SessionConfiguration::default());
        let report = ConfigurationReport::new(&configuration, &acceptable);
        assert_eq!(report.current(), configuration);
        assert_eq!(report.nearest(&request), request);
    }
}

/// 2.05 to a GET on `config`.
pub fn configuration_report(body: &[u8]) {
    let decode = ConfigurationReport::decode;
    if let Some(report) = check(body, decode, ConfigurationReport::encode) {
        let current = report.current();
        let again = ConfigurationReport::new(&current, &AcceptableConfiguration::default());
        assert_eq!(again.current(), current);
    }
}

/// 5.03 to anything.
pub fn redirect(body: &[u8]) {
    check(body, RedirectedSignal::decode, RedirectedSignal::encode);
}

/// PUT on `hb`.
pub fn heartbeat(body: &[u8]) {
    check(body, Heartbeat::decode, Heartbeat::encode);
}
