//! The one clock of the engine.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment of this boot. It goes on while the machine is
/// slowed or stepped by nobody: CLOCK_MONOTONIC, read without a system call.
#[inline]
pub(super) fn now() -> u64 {
    // It cannot fail: the clock is there on every Linux.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
        time.tv_sec().cast_unsigned() * NANOSECONDS + time.tv_nsec().cast_unsigned()
    })
}

pub(super) const NANOSECONDS: u64 = 1_000_000_000;
