//! coap
