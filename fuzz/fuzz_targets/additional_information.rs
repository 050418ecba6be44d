#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| moat_fuzz::additional_information(data));
