//! Names of DNS-based service discovery (RFC 6763 §4.1, RFC 8973 §7).
//!
//! DOTS defines no keys for the TXT record of an instance, which is empty; so nobody asks for it, and whatever it had in it
//! would change nothing.

use super::naptr::{ApplicationProtocol, ApplicationService};
use pvd::{DomainName, NameError};

/// The service part of an instance's name.
pub fn labels(service: ApplicationService, protocol: ApplicationProtocol) -> [&'static str; 2] {
    use ApplicationProtocol::{DataTcp, SignalTcp, SignalUdp};
    use ApplicationService::{Dots, DotsCallHome};
    match (service, protocol) {
        (Dots, SignalUdp) => ["_dots-signal", "_udp"],
        (Dots, SignalTcp) => ["_dots-signal", "_tcp"],
        (DotsCallHome, SignalUdp) => ["_dots-call-home", "_udp"],
        (DotsCallHome, SignalTcp) => ["_dots-call-home", "_tcp"],
        (_, DataTcp) => ["_dots-data", "_tcp"],
    }
}

/// The name under which `domain` lists its instances; it is also that of SRV records (RFC 8973 §9.1).
///
/// # Errors
/// [`NameError::TooLong`]
pub fn service_name(
    service: ApplicationService,
    protocol: ApplicationProtocol,
    domain: &DomainName,
) -> Result<DomainName, NameError> {
    domain.below(&labels(service, protocol))
}

/// Whether `name` is one of an instance of this service: one label, those of the service, a domain.
pub(super) fn is_instance(
    name: &DomainName,
    service: ApplicationService,
    protocol: ApplicationProtocol,
) -> bool {
    let mut rest = name.labels().skip(1);
    let of_service = labels(service, protocol);
    let same = of_service.map(|label| rest.next() == Some(label.as_bytes()));
    same == [true, true] && rest.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: Y-010, Y-013
    #[test]
    fn instances_have_one_label_before_one_of_the_five_services() {
        use ApplicationProtocol::{DataTcp, SignalTcp, SignalUdp};
        use ApplicationService::{Dots, DotsCallHome};
        let domain = "example.net".parse().unwrap();
        let names = [
            (Dots, SignalUdp, "_dots-signal._udp.example.net"),
            (Dots, SignalTcp, "_dots-signal._tcp.example.net"),
            (Dots, DataTcp, "_dots-data._tcp.example.net"),
            (DotsCallHome, SignalUdp, "_dots-call-home._udp.example.net"),
            (DotsCallHome, SignalTcp, "_dots-call-home._tcp.example.net"),
        ];
        for (service, protocol, expected) in names {
            let name = service_name(service, protocol, &domain).unwrap();
            assert_eq!(name.to_string(), expected);
            let is = |name: &DomainName| is_instance(name, service, protocol);
            assert!(!is(&name));
            assert!(is(&name.below(&["The one. In the cellar"]).unwrap()));
            assert!(!is(&name.below(&["a", "b"]).unwrap()));
        }
    }
}
