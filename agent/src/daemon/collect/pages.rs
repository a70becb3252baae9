//! Log pages of NVMe controllers, each asked with a deadline: an admin command
//! waits for its controller, however long that takes.

use super::{Deadlines, device};
use crate::daemon::state::{DiskFacts, DiskReading, Page, Readings, Snapshot};
use crate::inventory::Bus;
use crate::metrics::{Events, Kind};
use crate::nvme;

pub(super) fn ask(
    snapshot: &Snapshot,
    deadlines: &Deadlines,
    readings: &mut Readings,
    events: &Events,
) {
    for disk in snapshot.measured().filter(|disk| disk.bus == Bus::Nvme) {
        let reading = readings.disks.entry(disk.id.clone()).or_default();
        ask_disk(disk, deadlines, reading, events);
    }
}

fn ask_disk(disk: &DiskFacts, deadlines: &Deadlines, reading: &mut DiskReading, events: &Events) {
    let path = device(&disk.device);
    let nsid = disk.nsid.unwrap_or(1);
    // One question for both: while the controller hangs, it is not asked more.
    let is_amazon = disk.is_amazon();
    let answers = deadlines.ask(&disk.id, move || {
        let amazon = match is_amazon {
            true => nvme::amazon(&path, nsid),
            false => Ok(None),
        };
        (nvme::smart(&path), amazon)
    });
    reading.late = answers.is_err();
    let Ok((smart, amazon)) = answers else {
        reading.smart = None;
        reading.amazon = None;
        reading.pages.values_mut().for_each(|good| *good = false);
        events.error(Kind::LogPage);
        return;
    };
    reading.smart = told(Page::Smart, smart, reading, events);
    reading.amazon = told(Page::Amazon, amazon, reading, events);
}

/// Notes how a page went. A controller that never kept it is no failure.
fn told<T>(
    page: Page,
    answer: anyhow::Result<Option<T>>,
    reading: &mut DiskReading,
    events: &Events,
) -> Option<T> {
    match answer {
        Ok(Some(content)) => {
            reading.pages.insert(page, true);
            Some(content)
        }
        Ok(None) => None,
        Err(error) => {
            tracing::debug!("{error:#}");
            if let Some(good) = reading.pages.get_mut(&page) {
                *good = false;
                events.error(Kind::LogPage);
            }
            None
        }
    }
}
