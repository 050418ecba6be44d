/// What an endpoint saw and could not use, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams that are no CoAP message, are too large, or combine type and code against RFC 7252
    /// §4.3; and what makes a stream unreadable.
    pub malformed: u64,
    /// Empty Confirmable messages, answered with Reset (RFC 7252 §4.3); over a stream, Empty messages
    /// and Ping messages, the latter answered with Pong (RFC 8323 §5.4).
    pub pings: u64,
    /// Requests that came again with their Message ID (RFC 7252 §4.5).
    pub duplicates: u64,
    /// Messages refused for a critical option (RFC 7252 §5.4.1).
    pub unknown_critical_option: u64,
    /// Reset messages, whatever they meant.
    pub resets_received: u64,
    /// Reset messages sent.
    pub resets_sent: u64,
    /// Acknowledgements of nothing that waits for one.
    pub unmatched_acknowledgements: u64,
    /// Responses whose token this endpoint does not know.
    pub unmatched_responses: u64,
    /// Further responses to requests already answered or cancelled.
    pub late_responses: u64,
    /// Notifications older than one already delivered (RFC 7641 §3.4).
    pub stale_notifications: u64,
    /// Messages of ours sent again.
    pub repeated: u64,
    /// Responses that came too late: their request was answered, or forgotten as one of the oldest.
    pub expired_exchanges: u64,
    /// Responses too large or without a response code, for which the peer got 5.00.
    pub unsendable_responses: u64,
    /// Separate responses that were never acknowledged.
    pub undelivered_responses: u64,
    /// Messages dropped because a queue was full; over a stream, also requests refused for that.
    pub overflows: u64,
}
