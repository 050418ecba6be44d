//! What the server of a PvD can answer, or a file contain.

use std::time::SystemTime;

use pvd::AdditionalInformation;
use pvd::information::Read;

/// The object, read in 1970, so that it has not expired.
pub fn additional_information(text: &[u8]) {
    let read = |text: &[u8]| AdditionalInformation::read(text, SystemTime::UNIX_EPOCH);
    let Ok(Read { information, .. }) = read(text) else {
        return;
    };
    for prefix in &information.prefixes {
        assert!(information.covers(prefix));
    }
    let again = read(information.to_json().as_bytes()).expect("what was written");
    assert_eq!(again.information, information);
    assert_eq!(again.ignored, [""; 0]);
}
