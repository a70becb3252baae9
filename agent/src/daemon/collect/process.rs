//! What the daemon itself uses.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::daemon::state::Process;

pub(super) fn read() -> Process {
    let pid = Pid::from_u32(std::process::id());
    let Ok(mut system) = System::new() else {
        return Process::default();
    };
    let kind = ProcessRefreshKind::nothing().with_memory().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
    let process = system.process(pid);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one process")]
    let seconds = |ms: u64| ms as f64 / 1000.0;
    Process {
        resident: process.map_or(0, sysinfo::Process::memory),
        cpu_seconds: process.map_or(0.0, |p| seconds(p.accumulated_cpu_time())),
        open_files: process
            .and_then(sysinfo::Process::open_files)
            .map_or(0, |open| open as u64),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_knows_itself() {
        let process = super::read();
        assert!(process.resident > 100_000, "{process:?}");
        assert!(process.open_files >= 3, "{process:?}");
    }
}
