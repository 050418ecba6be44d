//! Which PvD is needed to learn of which: a graph without cycles.
//!
//! ```text
//! information of vpn.example --authenticated, resolved, carried by--> base of vpn.example     (RFC 8801 §4.1)
//! base of vpn.example --carried by--> base of home.example                                    the tunnel
//! base of vpn.example --described by--> information of home.example --...--> base of home.example
//! ```
//! The base of a PvD is what its carrier brings by itself: addresses, routers and resolvers. Nothing in it may wait for
//! information which it is needed to fetch; so an edge that closes a cycle is refused, and the cycle is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Something to be learned of a PvD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// What its carrier brings.
    Base,
    /// Its additional information.
    Information,
}

/// Something to be learned of this PvD.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node<P> {
    /// The PvD.
    pub pvd: P,
    /// What of it.
    pub stage: Stage,
}

/// What something is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It says how to reach the other.
    Describes,
    /// Names are asked of its resolvers.
    Resolves,
    /// Packets go its way.
    Carries,
    /// Keys, revocation or time are had through it.
    Authenticates,
}

/// Who needs what. Its size is the caller's: edges go with the PvDs that they start from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependencies<P> {
    needs: BTreeMap<Node<P>, BTreeSet<(Node<P>, Role)>>,
}

/// To learn the first one needs all that follow, and at the end the first one again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", said(.0))]
pub struct Cycle<P: fmt::Display + fmt::Debug>(Vec<(Node<P>, Role)>);

impl<P: fmt::Display + fmt::Debug> Cycle<P> {
    /// What is needed and what for, from the one that was to be added on; each needs the next, and the last the first.
    pub fn steps(&self) -> &[(Node<P>, Role)] {
        &self.0
    }
}

impl<P> Default for Dependencies<P> {
    fn default() -> Self {
        Self {
            needs: BTreeMap::new(),
        }
    }
}

impl<P: Clone + Ord + fmt::Display + fmt::Debug> Dependencies<P> {
    /// Notes that `dependent` cannot be learned without `needed`.
    ///
    /// # Errors
    /// [`Cycle`]: `needed` itself waits for `dependent`; the graph is as it was.
    pub fn add(&mut self, dependent: Node<P>, role: Role, needed: Node<P>) -> Result<(), Cycle<P>> {
        if let Some(mut way) = self.way(&needed, &dependent) {
            way.insert(0, (dependent, role));
            return Err(Cycle(way));
        }
        let needs = self.needs.entry(dependent).or_default();
        needs.insert((needed, role));
        Ok(())
    }

    /// The information of an explicit PvD is resolved, carried and authenticated by that PvD alone (RFC 8801 §4.1).
    ///
    /// # Errors
    /// [`Cycle`]: its base needs the information.
    pub fn add_fetch(&mut self, pvd: &P) -> Result<(), Cycle<P>> {
        let [base, information] = [Stage::Base, Stage::Information].map(|stage| Node {
            pvd: pvd.clone(),
            stage,
        });
        for role in [Role::Resolves, Role::Carries, Role::Authenticates] {
            self.add(information.clone(), role, base.clone())?;
        }
        Ok(())
    }

    /// A shortest way from one to what it needs: each step with the role of the next; the last step is the one before `to`.
    fn way(&self, from: &Node<P>, to: &Node<P>) -> Option<Vec<(Node<P>, Role)>> {
        if from == to {
            return Some(Vec::new());
        }
        let mut came: BTreeMap<&Node<P>, (&Node<P>, Role)> = BTreeMap::new();
        let mut layer = vec![from];
        while !layer.is_empty() && !came.contains_key(to) {
            let mut next = Vec::new();
            for node in layer {
                for (needed, role) in self.needs.get(node).into_iter().flatten() {
                    if needed != from && !came.contains_key(needed) {
                        came.insert(needed, (node, *role));
                        next.push(needed);
                    }
                }
            }
            layer = next;
        }
        let (mut way, mut place) = (Vec::new(), to);
        while place != from {
            let (before, role) = came.get(place)?;
            way.push(((*before).clone(), *role));
            place = before;
        }
        way.reverse();
        Some(way)
    }
}

/// "the information of a is carried by the base of b, which is described by the information of a".
fn said<P: fmt::Display>(steps: &[(Node<P>, Role)]) -> String {
    let nodes = steps.iter().map(|(node, _)| node);
    let next = nodes.clone().cycle().skip(1);
    let mut text = String::from("it would need itself: ");
    for (place, ((node, role), next)) in steps.iter().zip(next).enumerate() {
        text += &match place {
            0 => format!("{node} is {role} {next}"),
            _ => format!(", which is {role} {next}"),
        };
    }
    text
}

impl<P: fmt::Display> fmt::Display for Node<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stage {
            Stage::Base => write!(formatter, "{} itself", self.pvd),
            Stage::Information => write!(formatter, "the information of {}", self.pvd),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Describes => "described by",
            Self::Resolves => "resolved by",
            Self::Carries => "carried by",
            Self::Authenticates => "authenticated by",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base<P>(pvd: P) -> Node<P> {
        Node {
            pvd,
            stage: Stage::Base,
        }
    }

    fn information<P>(pvd: P) -> Node<P> {
        Node {
            pvd,
            stage: Stage::Information,
        }
    }

    /// Covers: P-043
    #[test]
    fn what_is_fetched_needs_nothing_but_what_the_carrier_brought() {
        let mut graph = Dependencies::default();
        graph.add_fetch(&"home.example").unwrap();
        let needed = &graph.needs[&information("home.example")];
        assert!(
            needed
                .iter()
                .all(|(needed, _)| *needed == base("home.example"))
        );
        assert!(!graph.needs.contains_key(&base("home.example")));
        let refused = graph.add(
            base("home.example"),
            Role::Describes,
            information("home.example"),
        );
        assert_eq!(
            refused.unwrap_err().to_string(),
            "it would need itself: home.example itself is described by the information of home.example, \
             which is resolved by home.example itself"
        );
    }

    /// Covers: P-044
    #[test]
    fn a_tunnel_over_a_network_may_not_carry_what_describes_the_tunnel() {
        let mut graph = Dependencies::default();
        graph.add_fetch(&"home.example").unwrap();
        graph.add_fetch(&"vpn.example").unwrap();
        let (tunnel, described) = (base("vpn.example"), information("home.example"));
        let home = base("home.example");
        graph
            .add(tunnel.clone(), Role::Carries, home.clone())
            .unwrap();
        graph
            .add(tunnel.clone(), Role::Describes, described.clone())
            .unwrap();
        let before = graph.clone();
        let cycle = graph.add(described.clone(), Role::Carries, tunnel.clone());
        let cycle = cycle.unwrap_err();
        assert_eq!(
            cycle.steps(),
            [
                (described.clone(), Role::Carries),
                (tunnel.clone(), Role::Describes)
            ]
        );
        let direct = graph.add(home, Role::Carries, tunnel.clone()).unwrap_err();
        assert_eq!(
            direct.to_string(),
            "it would need itself: home.example itself is carried by vpn.example itself, \
             which is carried by home.example itself"
        );
        assert_eq!(graph, before);
        // A tunnel that is written down, and not described by what it carries, may carry it.
        let mut written = Dependencies::default();
        written.add_fetch(&"home.example").unwrap();
        written.add(described, Role::Carries, tunnel).unwrap();
    }

    #[test]
    fn nothing_needs_itself() {
        let mut graph = Dependencies::default();
        let cycle = graph.add(base("a.example"), Role::Resolves, base("a.example"));
        assert_eq!(
            cycle.unwrap_err().to_string(),
            "it would need itself: a.example itself is resolved by a.example itself"
        );
    }

    proptest! {
        /// Of random edges those are refused that close a cycle, and no others.
        #[test]
        fn an_edge_is_refused_exactly_if_it_closes_a_cycle(edges in prop::collection::vec((0_u8..7, 0_u8..7), 0..40)) {
            let mut graph = Dependencies::default();
            let mut reached = [[false; 7]; 7];
            for (from, to) in edges {
                let (f, t) = (usize::from(from), usize::from(to));
                let closes = from == to || reached[t][f];
                let added = graph.add(base(from), Role::Carries, base(to));
                prop_assert_eq!(added.is_err(), closes);
                if let Err(Cycle(steps)) = added {
                    prop_assert_eq!(&steps[0].0, &base(from));
                    if let Some((next, _)) = steps.get(1) {
                        prop_assert_eq!(next, &base(to));
                    }
                    let (last, _) = &steps[steps.len() - 1];
                    prop_assert!(from == to || graph.needs[last].contains(&(base(from), Role::Carries)));
                    continue;
                }
                for a in 0..7 {
                    for b in 0..7 {
                        reached[a][b] |= (a == f || reached[a][f]) && (b == t || reached[t][b]);
                    }
                }
            }
        }
    }
}
