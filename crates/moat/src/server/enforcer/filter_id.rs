//! How the filter of a mitigation is called.

use agent::server::Enforcement;
use mitigator::FilterId;

/// The name of a filter: the same after a restart, and no text of a peer. A mitigation with the key of
/// one that ended has a filter of its own, which has dropped nothing yet.
pub(super) fn filter_id(enforcement: &Enforcement) -> Option<FilterId> {
    let key = &enforcement.key;
    let mut hash = openssl::sha::Sha256::new();
    for part in [key.customer.as_str(), key.cuid.as_str()] {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(&key.mid.0.to_be_bytes());
    hash.update(&enforcement.accepted.to_be_bytes());
    hash.update(&enforcement.started_unix.to_be_bytes());
    let digest = hash.finish();
    let name: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("m_{name}").parse().ok()
}
