//! Who is asked to protect an address.

use std::hint::black_box;
use std::time::Duration;

use agent::server_selection::{AssociationId, Attack, Policy, SessionStates, select};

use super::inputs::{self, Inputs, Size};
use super::measure::nanoseconds;
use super::report::Decision;

/// Targets that are decided in turn.
const TARGETS: usize = 1024;

/// All servers can be asked.
struct AllUp;

impl SessionStates for AllUp {
    fn is_established(&self, _: &AssociationId) -> bool {
        true
    }
}

/// Measures decisions about addresses that one network assigned, and about those that are the site's own.
pub(super) fn measure(size: Size, patience: Duration) -> Decision {
    let mut inputs = Inputs::new();
    let prefixes = inputs.prefixes(size.prefixes);
    let pvds = inputs::pvds(size.pvds, &prefixes);
    let assigned = inputs.targets(TARGETS, &prefixes);
    let time = |targets: Vec<dots::target::Target>| {
        let attacks: Vec<Attack> = targets.into_iter().map(Attack::from).collect();
        let policy = Policy::default();
        nanoseconds(patience, |number| {
            if let Some(attack) = attacks.get(number % attacks.len().max(1)) {
                black_box(select(black_box(attack), &pvds, &policy, &AllUp));
            }
        })
    };
    Decision {
        pvds: size.pvds,
        prefixes: size.prefixes,
        assigned_nanoseconds: time(assigned),
        independent_nanoseconds: time(inputs::independent_target().into_iter().collect()),
    }
}
