//! Mitigation messages (RFC 9132 §4.4).
//!
//! ```text
//! client                                                     server
//!   PUT .../mitigate/cuid=../mid=..  MitigationRequest  ->
//!                                    <-  2.01, 2.04  Granted
//!                                    <-  4.09        Refusal
//!   GET .../mitigate/cuid=..  (Observe)                 ->
//!                                    <-  2.05        MitigationReport, again at each change
//!   DELETE .../mitigate/cuid=../mid=..                  ->
//!                                    <-  2.02, no body
//! ```

mod codes;
mod conflict;
mod granted;
mod report;
mod request;
mod scope;

pub use codes::{AttackStatus, ConflictCause, ConflictStatus, Status, UnknownCode};
pub use conflict::{AclName, AclType, ConflictInformation, ConflictScope, ConflictingAcl, Refusal};
pub use granted::Granted;
pub use report::{DroppedCounters, MitigationReport, MitigationStatus};
pub use request::{MitigationRequest, RequestError};
