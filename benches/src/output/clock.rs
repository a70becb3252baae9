//! Dates as ctime(3) writes them, which is what fio prints: local time, and no
//! zone.

use std::mem::MaybeUninit;

use nix::libc;

/// "Sat Nov  7 09:05:01 2026", of milliseconds since 1970.
#[must_use]
pub fn date(unix_ms: u64) -> String {
    let seconds = libc::time_t::try_from(unix_ms / 1000).unwrap_or(libc::time_t::MAX);
    match local(seconds) {
        Some(time) => text(&time),
        // a year that does not fit, or a zone that cannot be read
        None => seconds.to_string(),
    }
}

fn local(seconds: libc::time_t) -> Option<libc::tm> {
    let mut time = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and it keeps neither.
    let done = unsafe { libc::localtime_r(&raw const seconds, time.as_mut_ptr()) };
    // SAFETY: all zeros are a valid `tm` (numbers, and a null pointer), whether or
    // not it was filled.
    let time = unsafe { time.assume_init() };
    (!done.is_null()).then_some(time)
}

fn text(time: &libc::tm) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let name = |names: &[&'static str], index: i32| {
        let index = usize::try_from(index).ok();
        index
            .and_then(|index| names.get(index).copied())
            .unwrap_or("???")
    };
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {}",
        name(&DAYS, time.tm_wday),
        name(&MONTHS, time.tm_mon),
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        i64::from(time.tm_year) + 1900,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_reads_as_that_of_ctime() {
        let mut time = local(0).unwrap();
        (time.tm_wday, time.tm_mon, time.tm_mday) = (6, 10, 7);
        (time.tm_hour, time.tm_min, time.tm_sec) = (9, 5, 1);
        time.tm_year = 126;
        assert_eq!(text(&time), "Sat Nov  7 09:05:01 2026");
    }

    #[test]
    fn every_zone_agrees_on_the_seconds() {
        let text = date(1_795_301_191_351);
        assert!(text.contains(":31 2026"), "{text}");
        assert!(!date(u64::MAX).is_empty());
    }
}
