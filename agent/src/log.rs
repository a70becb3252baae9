//! The log: lines without time on standard error, since journald and cloud-init
//! add their own. Whoever asks the daemon to act is shown the same lines.

use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing_subscriber::fmt::MakeWriter;

/// Of the process, like standard error itself.
static LISTENERS: Mutex<Vec<UnboundedSender<String>>> = Mutex::new(Vec::new());

/// Starts the log.
pub fn start(level: tracing::Level) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(Tee)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}

/// All lines from now on, until the receiver is dropped.
#[must_use]
pub fn listen() -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
    listeners.push(sender);
    receiver
}

struct Tee;

impl MakeWriter<'_> for Tee {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for Tee {
    /// One whole line: the formatter writes each event at once.
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let mut listeners = LISTENERS.lock().unwrap_or_else(PoisonError::into_inner);
        if !listeners.is_empty() {
            let text = String::from_utf8_lossy(line);
            listeners.retain(|listener| listener.send(text.trim_end().to_owned()).is_ok());
        }
        drop(listeners);
        std::io::stderr().write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
