#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::router_advertisement(data));
