//! The rules behind a filter: its ports and protocols, and what happens to packets in scope.

use super::config::{Action, LimitPerSource};
use super::names::{self, Family};
use super::script::{Script, families, list};
use crate::{Filter, FilterId};

/// The protocols that have ports (RFC 9132 §4.4.1.1): TCP, UDP, DCCP and SCTP.
const PORT_PROTOCOLS: &str = "6, 17, 33, 132";

impl Script<'_> {
    pub(super) fn add_filter_rules(&mut self, filter: &Filter) {
        let chain = names::filter_chain(&filter.id);
        let ports = list(
            filter
                .port_ranges
                .iter()
                .map(|range| format!("{}-{}", range.lower(), range.upper())),
        );
        let protocols = match (
            list(
                filter
                    .protocols
                    .iter()
                    .map(|protocol| protocol.0.to_string()),
            ),
            &ports,
        ) {
            (None, Some(_)) => Some(PORT_PROTOCOLS.to_owned()),
            (protocols, _) => protocols,
        };
        if let Some(protocols) = protocols {
            self.rule(
                &chain,
                format_args!("meta l4proto != {{ {protocols} }} return"),
            );
        }
        if let Some(ports) = ports {
            self.rule(
                &chain,
                format_args!(
                    "meta l4proto {{ {PORT_PROTOCOLS} }} th dport != {{ {ports} }} return"
                ),
            );
        }
        let drop = format!("counter name {} drop", names::counter(&filter.id));
        match &self.config.action {
            Action::Drop => self.rule(&chain, drop),
            Action::LimitPerSource(limit) => {
                for family in families(filter) {
                    self.add_limit_rules(&chain, limit, family, &filter.id, &drop);
                }
            }
        }
    }

    /// The order decides: every packet counts for the rate of its source, so that a source stays
    /// blocked while it goes on; each offender has a place among the rates, which expires no
    /// sooner, so that it finds one among the offenders.
    fn add_limit_rules(
        &mut self,
        chain: &str,
        limit: &LimitPerSource,
        family: Family,
        id: &FilterId,
        drop: &str,
    ) {
        let LimitPerSource {
            packets_per_second: rate,
            burst,
            untracked_packets_per_second: untracked,
            ..
        } = limit;
        if self.places.size(id, limit).is_none() {
            let all =
                format_args!("limit rate over {untracked}/second burst {burst} packets {drop}");
            return self.rule(
                chain,
                format_args!("meta nfproto {} {all}", family.protocol()),
            );
        }
        let (source, rates, offenders) = (family.source(), family.rates(id), family.offenders(id));
        self.rule(
            chain,
            format_args!(
                "update @{rates} \
                 {{ {source} limit rate over {rate}/second burst {burst} packets }} \
                 update @{offenders} {{ {source} }}"
            ),
        );
        self.rule(chain, format_args!("{source} @{offenders} {drop}"));
        self.rule(
            chain,
            format_args!(
                "{source} != @{rates} \
                 limit rate over {untracked}/second burst {burst} packets {drop}"
            ),
        );
    }
}
