//! What anybody on a link can send in the name of a router.

use pvd::bindings::router_advertisement::{NdOption, Received, RouterAdvertisement};

/// The message behind its type and code.
pub fn router_advertisement(rest: &[u8]) {
    let message = [&[134, 0], rest].concat();
    let Ok(Received { advertisement, .. }) = RouterAdvertisement::decode(&message) else {
        return;
    };
    assert_eq!(read_back(&advertisement), advertisement);
    // The smallest MTU of IPv6.
    if let Ok(parts) = advertisement.split(1280) {
        assert!(parts.iter().all(|part| read_back(part) == *part));
        let options = |parts: &[RouterAdvertisement]| -> Vec<NdOption> {
            let outer = parts.iter().flat_map(|part| part.outer_options.clone());
            let pvds = parts.iter().filter_map(|part| part.pvd.clone());
            outer.chain(pvds.flat_map(|pvd| pvd.options)).collect()
        };
        assert_eq!(options(&parts), options(&[advertisement]));
    }
}

fn read_back(advertisement: &RouterAdvertisement) -> RouterAdvertisement {
    let read = RouterAdvertisement::decode(&advertisement.encode()).expect("what was written");
    assert_eq!(read.ignored, []);
    read.advertisement
}
