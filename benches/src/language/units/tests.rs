use super::*;

#[test]
fn sizes_are_what_fio_makes_of_them() {
    // each checked with `fio --debug=parse`
    let cases = [
        ("4k", 4096),
        ("4K", 4096),
        ("4kb", 4096),
        ("4kib", 4000),
        ("4KiB", 4000),
        ("1m", 1 << 20),
        ("1mib", 1_000_000),
        ("4b", 4),
        ("4096B", 4096),
        ("0x1000", 4096),
        ("0xff", 255),
        ("010", 10),
        ("1g", 1 << 30),
        ("1t", 1 << 40),
        ("1p", 1 << 50),
    ];
    for (text, expected) in cases {
        assert_eq!(bytes(text, Base::Binary), Ok(expected), "{text}");
    }
    for (text, expected) in [
        ("4k", 4000),
        ("4kb", 4000),
        ("4kib", 4096),
        ("1m", 1_000_000),
        ("7", 7),
    ] {
        assert_eq!(bytes(text, Base::Decimal), Ok(expected), "{text}");
    }
}

#[test]
fn sizes_that_are_traps_are_refused() {
    for text in [
        "",
        "k",
        "4 k",
        " 4k",
        "4kx",
        "1.5k",
        "1e3",
        "-4k",
        "+4k",
        "4ki",
        "16384p",
        "99999999999999999999",
        "18446744073709551616",
        "(4*1024)",
        "0x",
        "0x4k",
        "٤k",
        "4k ",
    ] {
        assert!(bytes(text, Base::Binary).is_err(), "{text:?}");
    }
    assert_eq!(bytes("18446744073709551615", Base::Binary), Ok(u64::MAX));
    let said = bytes("4ki", Base::Binary).unwrap_err();
    assert!(said.contains("write 4k or 4kib"), "{said}");
}

#[test]
fn shares_of_a_target() {
    assert_eq!(size("50%", Base::Binary), Ok(Size::Percent(50)));
    assert_eq!(size("1g", Base::Binary), Ok(Size::Bytes(1 << 30)));
    for text in ["101%", "50.5%", "%", "-1%", "4294967346%"] {
        assert!(size(text, Base::Binary).is_err(), "{text:?}");
    }
}

#[test]
fn times_are_what_fio_makes_of_them() {
    let cases = [
        ("1", 1_000_000),
        ("30s", 30_000_000),
        ("500ms", 500_000),
        ("500msec", 500_000),
        ("10us", 10),
        ("1M", 60_000_000),
        ("1H", 3_600_000_000),
        ("2d", 172_800_000_000),
        ("90 s", 90_000_000),
        ("0", 0),
    ];
    for (text, micros) in cases {
        assert_eq!(
            time(text, Without::Seconds),
            Ok(Duration::from_micros(micros)),
            "{text}"
        );
    }
    assert_eq!(
        time("10", Without::Microseconds),
        Ok(Duration::from_micros(10))
    );
    // of which fio 3.33 makes 30 us, 1 us, 1 s, 30 us, 16 us, 18446744073708551616 us
    for text in [
        "30sec",
        "1h30m",
        "1.5m",
        "30k",
        "0x10",
        "-1",
        "",
        "s",
        "999999999999999999d",
    ] {
        assert!(time(text, Without::Seconds).is_err(), "{text:?}");
    }
}

#[test]
fn reads_and_writes_each_have_theirs() {
    let read = |text: &str| bytes(text, Base::Binary);
    assert_eq!(each("4k", read), Ok([Some(4096), Some(4096)]));
    assert_eq!(each("4k,8k", read), Ok([Some(4096), Some(8192)]));
    assert_eq!(each(",8k", read), Ok([None, Some(8192)]));
    assert_eq!(each("8k,", read), Ok([Some(8192), None]));
    assert_eq!(each("4k,8k,16k", read), Ok([Some(4096), Some(8192)]));
    for text in ["", "4k,x", "4k,8k,x", "1,2,3,4"] {
        assert!(each(text, read).is_err(), "{text:?}");
    }
}

#[test]
fn fractions_have_no_words_and_no_signs() {
    assert_eq!(fraction("1.2"), Ok(1.2));
    for text in ["", "inf", "nan", "-1", "1e5", ".", "1.2.3"] {
        assert!(fraction(text).is_err(), "{text:?}");
    }
}
