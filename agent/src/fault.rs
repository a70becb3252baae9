//! Step boundaries: places between two steps where a test build can kill
//! itself, to prove that the next run converges. Without the feature `faults`
//! there is nothing here.

/// Marks the boundary before a step. With the feature `faults`,
/// `INSTORE_FAULT=N` kills the process at its N-th boundary, and
/// `INSTORE_FAULT_COUNT=FILE` has the number of boundaries written there.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn boundary(_name: &str) {}

/// Marks the boundary before a step. With the feature `faults`,
/// `INSTORE_FAULT=N` kills the process at its N-th boundary, and
/// `INSTORE_FAULT_COUNT=FILE` has the number of boundaries written there.
#[cfg(feature = "faults")]
pub fn boundary(name: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PASSED: AtomicUsize = AtomicUsize::new(0);

    let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(file) = std::env::var_os("INSTORE_FAULT_COUNT") {
        let _ = std::fs::write(file, number.to_string());
    }
    let fatal = std::env::var("INSTORE_FAULT")
        .ok()
        .and_then(|n| n.parse().ok());
    if fatal == Some(number) {
        crate::spawn::say(&format!(
            "fault: killed at boundary {number}, before: {name}"
        ));
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    }
}

/// The loop of the daemon passes here in each turn.
#[cfg(not(feature = "faults"))]
#[inline]
pub fn hang_if_asked() {}

/// The loop of the daemon passes here in each turn. With the feature `faults`
/// it hangs for ever while the file that `INSTORE_HANG` names is there: the
/// watchdog has to see it.
#[cfg(feature = "faults")]
pub fn hang_if_asked() {
    let Some(file) = std::env::var_os("INSTORE_HANG") else {
        return;
    };
    if std::path::Path::new(&file).exists() {
        crate::spawn::say("fault: the loop hangs");
        loop {
            std::thread::park();
        }
    }
}
