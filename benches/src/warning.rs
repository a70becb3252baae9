//! What makes figures mean less than they seem to: decided from facts, before a
//! run and after it. Pure; the facts are gathered in `facts`.

mod after;
mod facts;

pub use after::after;
pub use facts::{DiskFacts, DiskKind, Facts, Limit, gather};

use crate::job::{Access, Job, Run};

/// Disks answer repeated reads of less from memory of their own; drives of the
/// kind that clouds use have up to so much.
const DISK_CACHE: u64 = 1 << 30;

/// I/Os of others in a second that a measurement is not disturbed by: what
/// logs and a journal do.
const QUIET: u64 = 20;

/// Before a run. `regions` are the bytes that each job works on.
#[must_use]
pub fn before(run: &Run, regions: &[u64], facts: &Facts) -> Vec<String> {
    let mut said = Vec::new();
    for (job, &region) in run.jobs.iter().zip(regions) {
        said.extend(fits_cache(job, region, facts));
    }
    for disk in &facts.disks {
        said.extend(of_kind(disk));
        said.extend(of_queue(disk, &run.jobs));
    }
    for limit in &facts.limits {
        said.push(format!(
            "{} is throttled for this process ({} in {}): the figures are of the limit",
            limit.disk, limit.what, limit.place
        ));
    }
    for disk in &facts.at_rest {
        let ios = disk.read_ios + disk.write_ios;
        let seconds = disk.elapsed.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rate = ios as f64 / seconds.max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "a small constant")]
        if ios > 1 && rate > QUIET as f64 {
            said.push(format!(
                "{} is used by others: {rate:.0} I/Os per second before this began",
                disk.name
            ));
        }
    }
    said
}

fn fits_cache(job: &Job, region: u64, facts: &Facts) -> Option<String> {
    let name = &job.name;
    let mib = region >> 20;
    if !job.direct && facts.memory > 0 && region < facts.memory {
        return Some(format!(
            "job {name:?}: {mib} MiB fit the page cache ({} MiB available) and direct=0: \
             this measures memory",
            facts.memory >> 20
        ));
    }
    // Nothing is known of the caches of what is no disk.
    let reads = job.access != Access::Write;
    (job.direct && reads && region < DISK_CACHE && !facts.disks.is_empty()).then(|| {
        format!("job {name:?}: {mib} MiB may fit a cache of the disk: say size=1g or more")
    })
}

fn of_kind(disk: &DiskFacts) -> Option<String> {
    let name = &disk.name;
    Some(match disk.kind {
        DiskKind::Loop => {
            format!("{name} is a loop device: the figures are of the file behind it as well")
        }
        DiskKind::Memory => format!("{name} is in memory, not a disk"),
        DiskKind::Null => format!("{name} is a null device: it stores nothing"),
        DiskKind::Network => format!("{name} is reached over the network"),
        DiskKind::Virtual => format!("{name} is a virtual disk: what is behind it is not known"),
        DiskKind::Nvme | DiskKind::Stacked | DiskKind::Other => return None,
    })
}

fn of_queue(disk: &DiskFacts, jobs: &[Job]) -> Vec<String> {
    let mut said = Vec::new();
    let name = &disk.name;
    if disk.kind == DiskKind::Nvme
        && let Some(scheduler) = disk.scheduler.as_deref().filter(|s| *s != "none")
    {
        said.push(format!(
            "{name} has the I/O scheduler {scheduler}, which costs an NVMe disk I/Os: \
             the usual is none"
        ));
    }
    let buffered_writes = |job: &Job| !job.direct && job.access != Access::Read;
    if disk.writeback_limit_us > 0 && jobs.iter().any(buffered_writes) {
        said.push(format!(
            "{name} holds buffered writes back to keep reads below {} us (wbt_lat_usec)",
            disk.writeback_limit_us
        ));
    }
    said
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::results::DiskUse;
    use crate::target::testing::{job, run};

    const GIB: u64 = 1 << 30;

    fn disk(kind: DiskKind) -> DiskFacts {
        DiskFacts {
            name: "nvme1n1".into(),
            number: "259:1".into(),
            kind,
            scheduler: Some("none".into()),
            writeback_limit_us: 0,
        }
    }

    fn facts(disks: Vec<DiskFacts>) -> Facts {
        Facts {
            memory: 8 * GIB,
            disks,
            limits: Vec::new(),
            at_rest: Vec::new(),
        }
    }

    fn direct() -> Job {
        Job {
            direct: true,
            ..job("t")
        }
    }

    #[test]
    fn a_good_run_has_no_warnings() {
        let facts = facts(vec![disk(DiskKind::Nvme)]);
        let said = before(&run(vec![direct()]), &[GIB], &facts);
        assert_eq!(said, Vec::<String>::new());
        let said = before(&run(vec![job("t")]), &[8 * GIB], &facts);
        assert_eq!(said, Vec::<String>::new());
    }

    #[test]
    fn a_region_that_fits_a_cache() {
        let facts = facts(vec![disk(DiskKind::Nvme)]);
        let said = before(&run(vec![job("t")]), &[8 * GIB - 1], &facts);
        assert!(said[0].contains("page cache"), "{said:?}");
        let said = before(&run(vec![direct()]), &[GIB - 1], &facts);
        assert!(said[0].contains("cache of the disk"), "{said:?}");
        let write = Job {
            access: Access::Write,
            ..direct()
        };
        assert!(before(&run(vec![write]), &[1], &facts).is_empty());
    }

    #[test]
    fn what_is_no_local_disk_is_said_to_be_none() {
        for (kind, word) in [
            (DiskKind::Loop, "loop device"),
            (DiskKind::Memory, "in memory"),
            (DiskKind::Null, "stores nothing"),
            (DiskKind::Network, "network"),
            (DiskKind::Virtual, "virtual disk"),
        ] {
            let said = before(&run(vec![direct()]), &[GIB], &facts(vec![disk(kind)]));
            assert!(said.len() == 1 && said[0].contains(word), "{said:?}");
        }
    }

    #[test]
    fn queues_that_are_set_otherwise() {
        let slow = DiskFacts {
            scheduler: Some("bfq".into()),
            writeback_limit_us: 2000,
            ..disk(DiskKind::Nvme)
        };
        let write = Job {
            access: Access::Write,
            ..job("t")
        };
        let said = before(&run(vec![write]), &[9 * GIB], &facts(vec![slow.clone()]));
        assert!(
            said[0].contains("bfq") && said[1].contains("2000 us"),
            "{said:?}"
        );
        let said = before(&run(vec![direct()]), &[GIB], &facts(vec![slow]));
        assert_eq!(said.len(), 1, "{said:?}");
    }

    #[test]
    fn limits_and_others_are_named() {
        let mut facts = facts(vec![disk(DiskKind::Nvme)]);
        facts.limits.push(Limit {
            disk: "nvme1n1".into(),
            what: "rbps=1048576".into(),
            place: "/sys/fs/cgroup/a/io.max".into(),
        });
        let quiet = DiskUse {
            name: "nvme1n1".into(),
            read_ios: 2,
            elapsed: Duration::from_millis(500),
            ..DiskUse::default()
        };
        facts.at_rest.push(quiet.clone());
        let said = before(&run(vec![direct()]), &[GIB], &facts);
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("rbps=1048576 in /sys"), "{said:?}");
        facts.at_rest = vec![DiskUse {
            write_ios: 100,
            ..quiet
        }];
        let said = before(&run(vec![direct()]), &[GIB], &facts);
        assert!(said[1].contains("204 I/Os per second"), "{said:?}");
    }
}
