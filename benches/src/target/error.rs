//! What ends the preparation of targets.

use std::io;

/// Why no job can begin. Whatever was made until then is removed again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A target that may not be used, or a job that does not fit it.
    #[error("{0}")]
    Refused(String),
    /// The agent said no to a device, or could not tell.
    #[error("use {device}")]
    Gate {
        device: String,
        source: anyhow::Error,
    },
    #[error("{doing}")]
    Io { doing: String, source: io::Error },
    /// The stop flag was raised.
    #[error("stopped while targets were prepared; what was made is removed")]
    Stopped,
}

impl Error {
    /// An error of the system, with what it came of.
    pub(super) fn io<E: Into<io::Error>>(doing: String) -> impl FnOnce(E) -> Self {
        move |source| Self::Io {
            doing,
            source: source.into(),
        }
    }
}
