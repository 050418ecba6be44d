use std::time::{Duration, Instant};

use crate::observation::Interest;
use crate::option_number::OptionNumber;
use crate::request::SendError;

/// No wait is longer, whatever a peer negotiates.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// No wait is shorter, so that timers always advance.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// Transmission parameters (RFC 7252 §4.8), which DOTS agents may negotiate (RFC 9132 §4.5).
///
/// Values that would break the message layer (a factor below 1, a wait of zero) act as the nearest
/// ones that do not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransmissionParameters {
    /// ACK_TIMEOUT: the shortest wait before a Confirmable message is sent again.
    pub ack_timeout: Duration,
    /// ACK_RANDOM_FACTOR, at least 1: that wait is drawn from `ack_timeout` to `ack_timeout` times
    /// this.
    pub ack_random_factor: f64,
    /// MAX_RETRANSMIT: how often a Confirmable message is sent again.
    pub max_retransmit: u32,
    /// PROBING_RATE in bytes per second. Kept for the agent, which sizes heartbeats by it; requests
    /// are not held back here, for it must not delay a mitigation request (RFC 9132 §4.4).
    pub probing_rate: u32,
    /// MAX_LATENCY: how long a datagram may be under way. Identifiers are remembered accordingly.
    pub max_latency: Duration,
    /// How long a Confirmable request may wait for a piggybacked response before it gets an empty
    /// Acknowledgement.
    pub acknowledgement_delay: Duration,
    /// Wait between copies of a Non-confirmable request while there is no round-trip estimate, and
    /// the longest wait with one (RFC 9132 §4.4).
    pub non_repeat_interval: Duration,
    /// Shortest wait between copies of a Non-confirmable request, however fast the peer.
    pub non_minimum_interval: Duration,
    /// How often a Non-confirmable request is sent again before it fails; `None` for until it is
    /// answered or cancelled.
    pub non_max_repeats: Option<u32>,
}

impl Default for TransmissionParameters {
    /// The defaults of RFC 9132 §4.5.2 and RFC 7252 §4.8.2.
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            ack_random_factor: 1.5,
            max_retransmit: 3,
            probing_rate: 5,
            max_latency: Duration::from_secs(100),
            acknowledgement_delay: Duration::from_millis(250),
            non_repeat_interval: Duration::from_secs(3),
            non_minimum_interval: Duration::from_millis(250),
            non_max_repeats: None,
        }
    }
}

impl TransmissionParameters {
    /// MAX_TRANSMIT_SPAN: from the first to the last transmission of a Confirmable message (RFC
    /// 7252 §4.8.2).
    #[must_use]
    pub fn max_transmit_span(&self) -> Duration {
        self.largest_initial_timeout()
            .saturating_mul(power_of_two(self.max_retransmit).saturating_sub(1))
    }

    /// MAX_TRANSMIT_WAIT: from the first transmission of a Confirmable message to giving up (RFC
    /// 7252 §4.8.2).
    #[must_use]
    pub fn max_transmit_wait(&self) -> Duration {
        let doublings = self.max_retransmit.saturating_add(1);
        self.largest_initial_timeout()
            .saturating_mul(power_of_two(doublings).saturating_sub(1))
    }

    /// EXCHANGE_LIFETIME: how long the Message ID of a Confirmable message means that message (RFC
    /// 7252 §4.8.2).
    #[must_use]
    pub fn exchange_lifetime(&self) -> Duration {
        let transit = self
            .max_latency
            .saturating_mul(2)
            .saturating_add(self.ack_timeout);
        self.max_transmit_span().saturating_add(transit)
    }

    /// NON_LIFETIME: how long the Message ID of a Non-confirmable message means that message (RFC
    /// 7252 §4.8.2).
    #[must_use]
    pub fn non_lifetime(&self) -> Duration {
        self.max_transmit_span().saturating_add(self.max_latency)
    }

    /// The wait before the first retransmission, where `fraction`, in `0.0..1.0`, places it in its
    /// range (RFC 7252 §4.2).
    pub(crate) fn initial_timeout(&self, fraction: f64) -> Duration {
        let shortest = self.ack_timeout.clamp(SHORTEST_WAIT, LONGEST_WAIT);
        let longest = self.largest_initial_timeout();
        shortest.saturating_add(longest.saturating_sub(shortest).mul_f64(fraction))
    }

    fn random_factor(&self) -> f64 {
        if self.ack_random_factor.is_nan() {
            return 1.0;
        }
        self.ack_random_factor.clamp(1.0, MAX_RANDOM_FACTOR)
    }

    fn largest_initial_timeout(&self) -> Duration {
        let shortest = self.ack_timeout.clamp(SHORTEST_WAIT, LONGEST_WAIT);
        shortest.mul_f64(self.random_factor())
    }
}

/// Far beyond any factor that makes sense.
const MAX_RANDOM_FACTOR: f64 = 1000.0;

fn power_of_two(exponent: u32) -> u32 {
    1_u32.checked_shl(exponent).unwrap_or(u32::MAX)
}

/// The moment `wait` after `now`, where `wait` is held to what this crate can time.
pub(crate) fn after(now: Instant, wait: Duration) -> Instant {
    now + wait.clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

/// What bounds the memory that a peer, or an application, can make an endpoint use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the largest message sent in a datagram (RFC 7252 §4.6). Over a stream the peer says
    /// what it takes.
    pub max_message_size: usize,
    /// Bytes of the largest message looked at.
    pub max_received_size: usize,
    /// Bytes of the largest body, in one message or in blocks, either way (RFC 7959 §2).
    pub max_body: usize,
    /// Bodies of requests of the peer's that come in blocks, and bodies of responses of ours that it
    /// fetches in blocks: so many of each are kept. The oldest give way.
    pub block_transfers: usize,
    /// Observations of the peer's whose resource and block size are remembered, for notifications
    /// that take several blocks. The oldest give way.
    pub remembered_observers: usize,
    /// Requests of ours that wait for a response: NSTART of RFC 7252 §4.7. It may exceed 1 because
    /// copies of Non-confirmable requests are paced together.
    pub outstanding_requests: usize,
    /// Observations of ours.
    pub observations: usize,
    /// Closed tokens remembered, so that late responses are not taken for strangers'.
    pub closed_tokens: usize,
    /// Received requests remembered, to know duplicates and to answer them. The oldest give way.
    /// Over a stream, received requests not yet answered; more get 5.03.
    pub deduplication_entries: usize,
    /// Bytes of responses remembered for duplicates. The oldest give way, with their requests.
    pub response_cache_bytes: usize,
    /// Separate Confirmable responses not yet acknowledged. The oldest give way.
    pub separate_responses: usize,
    /// Notifications whose Message ID is remembered, to know what a Reset message rejects.
    pub remembered_notifications: usize,
    /// Events not yet polled; a message that would make another one is dropped as if lost. Over a
    /// stream, a request then gets 5.03.
    pub queued_events: usize,
    /// Datagrams not yet polled; further ones are dropped as if lost. Over a stream, one more message
    /// ends the connection.
    pub queued_datagrams: usize,
    /// The critical options the application understands, in requests and in responses (RFC 7252
    /// §5.4.1), beside Block1 and Block2, which it never sees.
    pub recognised_critical: &'static [OptionNumber],
}

/// If-Match and what addresses a resource.
const ADDRESSING: &[OptionNumber] = &[
    OptionNumber::IF_MATCH,
    OptionNumber::URI_HOST,
    OptionNumber::URI_PORT,
    OptionNumber::URI_PATH,
    OptionNumber::URI_QUERY,
    OptionNumber::ACCEPT,
];

impl Limits {
    /// Whether there may be another request, beside so many that wait for a response and so many
    /// that observe.
    pub(crate) fn admit(
        &self,
        outstanding: usize,
        registered: usize,
        interest: Interest,
    ) -> Result<(), SendError> {
        let limit = self.outstanding_requests;
        if outstanding >= limit {
            return Err(SendError::TooManyOutstanding { limit });
        }
        let limit = self.observations;
        if interest == Interest::Register && registered >= limit {
            return Err(SendError::TooManyObservations { limit });
        }
        Ok(())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_size: 1152,
            max_received_size: 16 * 1024,
            max_body: 64 * 1024,
            block_transfers: 4,
            remembered_observers: 64,
            outstanding_requests: 32,
            observations: 64,
            closed_tokens: 64,
            deduplication_entries: 256,
            response_cache_bytes: 64 * 1024,
            separate_responses: 32,
            remembered_notifications: 64,
            queued_events: 256,
            queued_datagrams: 256,
            recognised_critical: ADDRESSING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Covers: S-056. RFC 7252 §4.8.2 with RFC 9132's MAX_RETRANSMIT of 3.
    #[test]
    fn derived_times_follow_the_defaults_of_dots() {
        let parameters = TransmissionParameters::default();
        assert_eq!(parameters.max_transmit_span(), Duration::from_secs(21));
        assert_eq!(parameters.max_transmit_wait(), Duration::from_secs(45));
        assert_eq!(parameters.exchange_lifetime(), Duration::from_secs(223));
        assert_eq!(parameters.non_lifetime(), Duration::from_secs(121));
    }

    /// RFC 7252 §4.8.2, table 3.
    #[test]
    fn derived_times_match_the_table_of_coap() {
        let parameters = TransmissionParameters {
            max_retransmit: 4,
            ..TransmissionParameters::default()
        };
        assert_eq!(parameters.max_transmit_span(), Duration::from_secs(45));
        assert_eq!(parameters.max_transmit_wait(), Duration::from_secs(93));
        assert_eq!(parameters.exchange_lifetime(), Duration::from_secs(247));
        assert_eq!(parameters.non_lifetime(), Duration::from_secs(145));
    }

    #[test]
    fn absurd_parameters_do_not_overflow() {
        let parameters = TransmissionParameters {
            ack_timeout: Duration::MAX,
            ack_random_factor: f64::NAN,
            max_retransmit: u32::MAX,
            ..TransmissionParameters::default()
        };
        assert_eq!(parameters.initial_timeout(0.5), LONGEST_WAIT);
        assert!(parameters.exchange_lifetime() >= parameters.max_transmit_span());
    }
}
