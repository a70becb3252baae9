//! What a person sees while a benchmark runs: one line on a terminal, which is
//! written over, and nothing in a log but what is finished.

use std::io::{self, IsTerminal as _, Write as _};

use instore_bench::job::Eta;
use instore_bench::output::live;
use instore_bench::run::Event;

/// The line of a run.
pub(super) struct Line {
    shown: bool,
    /// Something is on the line now.
    dirty: bool,
    last_percent: u64,
}

impl Line {
    pub(super) fn new(eta: Eta) -> Self {
        let shown = match eta {
            Eta::Auto => io::stderr().is_terminal(),
            Eta::Always => true,
            Eta::Never => false,
        };
        Self {
            shown,
            dirty: false,
            last_percent: u64::MAX,
        }
    }

    pub(super) fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Layout(progress) => {
                let percent = progress.done * 100 / progress.total.max(1);
                if percent != self.last_percent {
                    self.last_percent = percent;
                    self.say(&format!(
                        "laying out {}: {percent} %",
                        progress.path.display()
                    ));
                }
            }
            Event::Live(status) => self.say(&live::line(status)),
            Event::Interim(_) | Event::Finished(_) => self.clear(),
        }
    }

    fn say(&mut self, text: &str) {
        if self.shown {
            // From the start of the line, and nothing of the last one behind it.
            let _ = write!(io::stderr(), "\r{}\x1b[K", crate::output::plain(text));
            let _ = io::stderr().flush();
            self.dirty = true;
        }
    }

    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.dirty) {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
