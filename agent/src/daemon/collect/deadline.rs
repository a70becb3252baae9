//! Questions that may hang: asked in a thread of their own, waited for no
//! longer than the patience. What hangs is not asked again before it returns,
//! so a dead controller costs one thread.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A question needs little.
const STACK_BYTES: usize = 128 << 10;

#[derive(Debug)]
pub(super) struct Deadlines {
    patience: Duration,
    hanging: Mutex<BTreeMap<String, JoinHandle<()>>>,
}

/// There was no answer in time, or there is none yet from the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late;

impl Deadlines {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            patience,
            hanging: Mutex::default(),
        }
    }

    /// Asks. `about` is what hangs when there is no answer.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        about: &str,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Late> {
        let mut hanging = self.hanging.lock().unwrap_or_else(PoisonError::into_inner);
        hanging.retain(|_, thread| !thread.is_finished());
        if hanging.contains_key(about) {
            return Err(Late);
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let thread = thread::Builder::new()
            .name("ask".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _ = sender.send(question());
            });
        let Ok(thread) = thread else { return Err(Late) };
        match receiver.recv_timeout(self.patience) {
            Ok(answer) => Ok(answer),
            Err(_) => {
                hanging.insert(about.to_owned(), thread);
                Err(Late)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_asked_once_and_others_go_on() {
        let deadlines = Deadlines::new(Duration::from_millis(20));
        let (release, hang) = mpsc::channel::<()>();
        assert_eq!(deadlines.ask("a", move || hang.recv().is_ok()), Err(Late));
        assert_eq!(
            deadlines.ask("a", || panic!("asked twice")),
            Err::<(), _>(Late)
        );
        let patient = Deadlines::new(Duration::from_secs(60));
        assert_eq!(patient.ask("b", || 7), Ok(7));
        release.send(()).unwrap();
        // It returned, so it is asked again, as soon as its thread has ended.
        let mut again = std::iter::repeat_with(|| deadlines.ask("a", || 8).ok());
        assert_eq!(again.find_map(|answer| answer), Some(8));
    }
}
