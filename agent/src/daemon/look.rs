//! Looks at the node with a deadline: a disk that hangs holds whoever reads it,
//! and must not hold the loop.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::config::Config;
use crate::inventory::Inventory;
use crate::observe::{self, Purpose};
use crate::root::Root;

/// A look takes milliseconds when all is in use, and seconds when large disks
/// are read for the first time.
const PATIENCE: Duration = Duration::from_secs(10);

/// The look that is under way, if one is: never two.
#[derive(Debug, Default)]
pub(super) struct Looker {
    running: Option<Receiver<Result<Inventory>>>,
}

impl Looker {
    /// Looks afresh; or waits for the look that hung the last time, and then
    /// looks afresh the next time.
    ///
    /// # Errors
    /// When the node cannot be read, or not in time.
    pub(super) fn look(&mut self, config: &Config) -> Result<Inventory> {
        let config = config.clone();
        self.ask(PATIENCE, move || {
            observe::look(&Root::system(), &config)?.read(Purpose::Decide)
        })
    }

    fn ask(
        &mut self,
        patience: Duration,
        question: impl FnOnce() -> Result<Inventory> + Send + 'static,
    ) -> Result<Inventory> {
        let answers = match self.running.take() {
            Some(running) => running,
            None => {
                let (sender, receiver) = mpsc::sync_channel(1);
                let thread = thread::Builder::new().name("look".into());
                thread
                    .spawn(move || {
                        let _ = sender.send(question());
                    })
                    .context("start a thread to look at the node")?;
                receiver
            }
        };
        match answers.recv_timeout(patience) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => {
                self.running = Some(answers);
                Err(anyhow!(
                    "look at the node: no answer within {} s, a disk may hang (see dmesg)",
                    patience.as_secs()
                ))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(anyhow!("look at the node: it ended in a fault of instore"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::node;

    #[test]
    fn a_look_that_hangs_is_waited_for_and_not_begun_twice() {
        let mut looker = Looker::default();
        let (release, hang) = mpsc::channel::<()>();
        let late = looker.ask(Duration::from_millis(20), move || {
            let _ = hang.recv();
            Ok(node(Vec::new()))
        });
        assert!(late.unwrap_err().to_string().contains("no answer"));
        let again = looker.ask(Duration::from_millis(20), || panic!("begun twice"));
        assert!(again.unwrap_err().to_string().contains("no answer"));
        release.send(()).unwrap();
        let patient = Duration::from_secs(60);
        assert!(looker.ask(patient, || panic!("begun twice")).is_ok());
        assert!(looker.ask(patient, || Ok(node(Vec::new()))).is_ok());
        let fault = looker.ask(patient, || panic!("as a library might"));
        assert!(fault.unwrap_err().to_string().contains("fault"));
    }
}
