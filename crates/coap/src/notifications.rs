use std::collections::VecDeque;
use std::time::Instant;

use crate::context::Context;
use crate::identifier::{MessageId, Token};
use crate::parameters::after;

/// The notifications sent lately, to know what a Reset rejects (RFC 7641 §3.6, §4.5).
#[derive(Debug, Default)]
pub(crate) struct Notifications {
    sent: VecDeque<Notification>,
}

#[derive(Debug)]
struct Notification {
    message_id: MessageId,
    token: Token,
    /// After this the Message ID may mean another message.
    expires: Instant,
}

impl Notifications {
    pub(crate) fn remember(
        &mut self,
        context: &Context,
        now: Instant,
        message_id: MessageId,
        token: Token,
    ) {
        let expires = after(now, context.parameters.non_lifetime());
        self.sent.push_back(Notification {
            message_id,
            token,
            expires,
        });
        while self.sent.len() > context.limits.remembered_notifications {
            self.sent.pop_front();
        }
    }

    /// The token that a Reset rejects. Its other notifications are forgotten: it is rejected once.
    pub(crate) fn reject(&mut self, now: Instant, message_id: MessageId) -> Option<Token> {
        self.sent.retain(|notification| now < notification.expires);
        let rejected = self
            .sent
            .iter()
            .find(|notification| notification.message_id == message_id);
        let token = rejected?.token;
        self.sent.retain(|notification| notification.token != token);
        Some(token)
    }
}
