//! What the daemon itself uses.

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::daemon::state::Process;

/// None when it cannot be told just now: counters do not go back.
pub(super) fn read() -> Option<Process> {
    let pid = Pid::from_u32(std::process::id());
    let mut system = System::new().ok()?;
    let kind = ProcessRefreshKind::nothing().with_memory().with_cpu();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
    let process = system.process(pid)?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one process")]
    let seconds = |ms: u64| ms as f64 / 1000.0;
    Some(Process {
        resident: process.memory(),
        cpu_seconds: seconds(process.accumulated_cpu_time()),
        open_files: process.open_files()? as u64,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_process_knows_itself() {
        let process = super::read().unwrap();
        assert!(process.resident > 100_000, "{process:?}");
        assert!(process.open_files >= 3, "{process:?}");
    }
}
