//! SRV records, and the order to try them in (RFC 2782).

use pvd::DomainName;

/// A host that offers a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Low ones come first.
    pub priority: u16,
    /// How often it comes first among those of the same priority.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// Its name; `None` is the root: the service is decidedly not offered.
    pub target: Option<DomainName>,
}

/// By priority, and by weighted chance within each.
pub(super) fn in_order(mut records: Vec<Srv>, rng: &mut fastrand::Rng) -> Vec<Srv> {
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::new();
    while let Some(first) = records.first() {
        let priority = first.priority;
        let same = records
            .iter()
            .take_while(|record| record.priority == priority);
        let weights: Vec<u32> = same.map(|record| record.weight.into()).collect();
        let mut drawn = rng.u32(0..=weights.iter().sum());
        let mut chosen = 0;
        for (position, weight) in weights.into_iter().enumerate() {
            chosen = position;
            match drawn.checked_sub(weight) {
                Some(rest) if rest > 0 => drawn = rest,
                _ => break,
            }
        }
        ordered.push(records.remove(chosen));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16) -> Srv {
        Srv {
            priority,
            weight,
            port: weight,
            target: None,
        }
    }

    #[test]
    fn priority_decides_and_weight_is_a_chance() {
        let mut rng = fastrand::Rng::with_seed(8973);
        let mut first = 0;
        for _ in 0..1000 {
            let records = vec![record(2, 9), record(1, 10), record(1, 90), record(1, 0)];
            let ordered = in_order(records, &mut rng);
            assert_eq!(ordered.len(), 4);
            assert_eq!(ordered[3].priority, 2);
            first += usize::from(ordered[0].weight == 90);
        }
        assert!((850..950).contains(&first), "{first} of 1000");
        let heavy = vec![record(1, u16::MAX); 32];
        assert_eq!(in_order(heavy, &mut rng).len(), 32);
    }
}
