//! Why bytes are refused.

/// Bytes that are not what was written. `place` names what is concerned, such as a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// What was read is not what was written. Nothing is repaired.
    #[error("{place} is damaged: {reason}")]
    Damaged {
        /// Which stored thing.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value could not be encoded, or what was received does not decode.
    #[error("{what} does not have the expected form: {reason}")]
    Form {
        /// Which value.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl PageError {
    /// Damage at `place`.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass what they made for the message")]
    pub(crate) fn damaged(place: impl ToString, reason: impl ToString) -> Self {
        Self::Damaged { place: place.to_string(), reason: reason.to_string() }
    }
}
