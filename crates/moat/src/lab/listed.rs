//! Everything that `moat lab` can run: attacks on multihomed sites, and provisioning domains.

use super::error::Error;
use super::{provisioning, scenario};

/// A scenario of either kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Listed {
    /// An attack, and who is asked for help.
    Attack(&'static scenario::Scenario),
    /// What a host learns of its networks.
    Provisioning(&'static provisioning::Scenario),
}

/// All scenarios, in the order to show and to run them.
pub(crate) fn all() -> impl Iterator<Item = Listed> {
    let attacks = scenario::SCENARIOS.iter().map(Listed::Attack);
    attacks.chain(provisioning::SCENARIOS.iter().map(Listed::Provisioning))
}

/// The scenario of this name.
///
/// # Errors
/// [`Error::UnknownScenario`]
pub(super) fn find(name: &str) -> Result<Listed, Error> {
    let unknown = || Error::UnknownScenario {
        name: name.to_owned(),
        known: all().map(Listed::name).collect::<Vec<_>>().join(", "),
    };
    all().find(|one| one.name() == name).ok_or_else(unknown)
}

impl Listed {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Attack(scenario) => scenario.name,
            Self::Provisioning(scenario) => scenario.name,
        }
    }

    /// What it stands for, and in which document.
    pub(crate) fn figure(self) -> &'static str {
        match self {
            Self::Attack(scenario) => scenario.figure,
            Self::Provisioning(scenario) => scenario.figure,
        }
    }

    /// One line about it.
    pub(crate) fn summary(self) -> &'static str {
        match self {
            Self::Attack(scenario) => scenario.summary,
            Self::Provisioning(scenario) => scenario.summary,
        }
    }

    /// The programs that it needs, and the Debian package of each.
    pub(super) fn programs(self) -> Vec<(&'static str, &'static str)> {
        match self {
            Self::Attack(scenario) => scenario.programs(),
            Self::Provisioning(scenario) => scenario.programs.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_scenarios_have_one_name_and_none_is_called_all() {
        let names: BTreeSet<_> = all().map(Listed::name).collect();
        assert_eq!(names.len(), all().count());
        assert!(!names.contains("all"));
    }
}
