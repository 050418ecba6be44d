#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::stream_endpoint(data));
