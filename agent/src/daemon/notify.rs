//! What systemd is told: ready, a line of status, and that the loop lives.

use std::time::Duration;

use sd_notify::NotifyState;

/// Longer than any apply: what it copies may be a full containerd directory.
const WORK: Duration = Duration::from_secs(15 * 60);

/// The watchdog of the unit, if it has one. Fed by the loop itself, and only
/// there: a loop that hangs is not alive.
#[derive(Debug)]
pub struct Watchdog {
    every: Option<Duration>,
}

impl Watchdog {
    #[must_use]
    pub fn of_unit() -> Self {
        Self {
            every: sd_notify::watchdog_enabled(),
        }
    }

    /// How long the loop may wait: half of what would be too long.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.every.map_or(Duration::MAX, |every| every / 2)
    }

    pub fn feed(&self) {
        if self.every.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Work that may take long begins.
    pub fn begin_work(&self) {
        self.set(WORK);
    }

    /// It ended.
    pub fn end_work(&self) {
        if let Some(every) = self.every {
            self.set(every);
        }
    }

    fn set(&self, every: Duration) {
        if self.every.is_some() {
            let micros = u32::try_from(every.as_micros()).unwrap_or(u32::MAX);
            tell(&[NotifyState::WatchdogUsec(micros), NotifyState::Watchdog]);
        }
    }
}

pub fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Without systemd there is nobody to tell.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("tell systemd: {error}");
    }
}
