//! When a process dies: in the middle of what it is doing.

/// Counts down what a process still does before it dies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fuse(Option<u32>);

impl Fuse {
    /// So many actions are still carried out.
    pub(crate) fn light(&mut self, actions: u32) {
        self.0 = Some(actions);
    }

    /// Whether the process dies instead of carrying out one more action.
    pub(crate) fn burns_down(&mut self) -> bool {
        let is_over = self.0 == Some(0);
        self.0 = match self.0 {
            Some(left) => left.checked_sub(1),
            None => None,
        };
        is_over
    }
}
