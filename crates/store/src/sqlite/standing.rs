//! The numbers that the column `standing` holds.

use agent::server::Standing;

pub(super) const PARKED: i64 = 0;
pub(super) const ACTIVE: i64 = 1;
pub(super) const TERMINATING: i64 = 2;
pub(super) const DEACTIVATED: i64 = 3;

pub(super) fn of(standing: Standing) -> i64 {
    match standing {
        Standing::Parked => PARKED,
        Standing::Active { .. } => ACTIVE,
        Standing::Terminating { .. } => TERMINATING,
        Standing::Deactivated => DEACTIVATED,
    }
}
