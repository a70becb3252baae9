//! The health page of a controller, decoded: plain numbers in plain units. How
//! it is read is in `admin`, and what is alarming is for the caller to say.

use serde::Serialize;

use super::field;

/// Bytes of the page, from the NVMe base specification, as are the places below.
pub const LENGTH: usize = 512;

/// Data is counted in thousands of blocks of 512 bytes, whatever the format.
const DATA_UNIT: u128 = 1000 * 512;

/// The page is in whole kelvin, so this is what everyone takes off.
const ZERO_CELSIUS: i32 = 273;

/// What a controller says of itself. Counters that do not fit stay at the most
/// that does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Smart {
    /// As it is on the page, with bits that nobody knows yet; see `warnings`.
    pub critical_warning: u8,
    /// In degrees Celsius, as all temperatures here. None: not told.
    pub temperature: Option<i32>,
    /// What is left, in per cent.
    pub spare: u8,
    /// The device calls for help below this.
    pub spare_threshold: u8,
    /// Of the life that the maker expected, in per cent; may pass 100.
    pub used: u8,
    pub read_bytes: u64,
    pub write_bytes: u64,
    pub read_ops: u64,
    pub write_ops: u64,
    pub busy_seconds: u64,
    pub power_cycles: u64,
    pub power_on_seconds: u64,
    pub unsafe_shutdowns: u64,
    pub media_errors: u64,
    pub error_log_entries: u64,
    /// Time above the temperature that the maker warns of.
    pub warning_temperature_seconds: u64,
    pub critical_temperature_seconds: u64,
    pub sensors: [Option<i32>; 8],
}

/// What a controller calls critical, in the order of the bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// Less spare than the threshold.
    Spare,
    /// Too hot or too cold.
    Temperature,
    /// Many media errors, or an error inside.
    Reliability,
    /// The media cannot be written any more.
    ReadOnly,
    /// The cache would not survive a power cut.
    Backup,
    /// The persistent memory region is unreliable or cannot be written.
    Pmr,
}

impl Warning {
    pub const ALL: [Self; 6] = [
        Self::Spare,
        Self::Temperature,
        Self::Reliability,
        Self::ReadOnly,
        Self::Backup,
        Self::Pmr,
    ];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Spare => "spare",
            Self::Temperature => "temperature",
            Self::Reliability => "reliability",
            Self::ReadOnly => "read_only",
            Self::Backup => "backup",
            Self::Pmr => "pmr",
        }
    }
}

impl Smart {
    /// Decodes a page. None where it is all zeros: no controller that keeps one
    /// has no spare, no temperature and was never on.
    #[must_use]
    pub fn parse(page: &[u8; LENGTH]) -> Option<Self> {
        if page.iter().all(|b| *b == 0) {
            return None;
        }
        let count = |at| u128::from_le_bytes(field(page, at));
        let minutes = |at| u64::from(u32::from_le_bytes(field(page, at))) * 60;
        Some(Self {
            critical_warning: page[0],
            temperature: celsius(field(page, 1)),
            spare: page[3],
            spare_threshold: page[4],
            used: page[5],
            read_bytes: times(count(32), DATA_UNIT),
            write_bytes: times(count(48), DATA_UNIT),
            read_ops: times(count(64), 1),
            write_ops: times(count(80), 1),
            busy_seconds: times(count(96), 60),
            power_cycles: times(count(112), 1),
            power_on_seconds: times(count(128), 3600),
            unsafe_shutdowns: times(count(144), 1),
            media_errors: times(count(160), 1),
            error_log_entries: times(count(176), 1),
            warning_temperature_seconds: minutes(192),
            critical_temperature_seconds: minutes(196),
            sensors: std::array::from_fn(|i| celsius(field(page, 200 + 2 * i))),
        })
    }

    /// The warnings that are on.
    pub fn warnings(&self) -> impl Iterator<Item = Warning> {
        let bits = self.critical_warning;
        let on = move |(bit, _): &(usize, Warning)| bits & (1 << bit) != 0;
        let each = Warning::ALL.into_iter().enumerate();
        each.filter(on).map(|(_, warning)| warning)
    }
}

fn celsius(kelvin: [u8; 2]) -> Option<i32> {
    let kelvin = u16::from_le_bytes(kelvin);
    (kelvin != 0).then(|| i32::from(kelvin) - ZERO_CELSIUS)
}

fn times(count: u128, unit: u128) -> u64 {
    u64::try_from(count.saturating_mul(unit)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A page of zeros with these bytes in it.
    fn page(fields: &[(usize, &[u8])]) -> [u8; 512] {
        let mut page = [0; 512];
        for (at, bytes) in fields {
            page[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        page
    }

    #[test]
    fn every_field_is_in_its_place() {
        let mut fields: Vec<(usize, Vec<u8>)> = vec![
            (0, vec![0b0000_1001]),
            (1, 313_u16.to_le_bytes().to_vec()),
            (3, vec![100]),
            (4, vec![10]),
            (5, vec![130]),
            (192, 2_u32.to_le_bytes().to_vec()),
            (196, 3_u32.to_le_bytes().to_vec()),
            (200, 300_u16.to_le_bytes().to_vec()),
            (214, 263_u16.to_le_bytes().to_vec()),
        ];
        // Each counter counts its own place.
        for at in (32..192_u8).step_by(16) {
            fields.push((at.into(), vec![at]));
        }
        let fields: Vec<_> = fields.iter().map(|(at, f)| (*at, f.as_slice())).collect();
        let expected = Smart {
            critical_warning: 9,
            temperature: Some(40),
            spare: 100,
            spare_threshold: 10,
            used: 130,
            read_bytes: 32 * 512_000,
            write_bytes: 48 * 512_000,
            read_ops: 64,
            write_ops: 80,
            busy_seconds: 96 * 60,
            power_cycles: 112,
            power_on_seconds: 128 * 3600,
            unsafe_shutdowns: 144,
            media_errors: 160,
            error_log_entries: 176,
            warning_temperature_seconds: 120,
            critical_temperature_seconds: 180,
            sensors: [Some(27), None, None, None, None, None, None, Some(-10)],
        };
        assert_eq!(Smart::parse(&page(&fields)), Some(expected));
    }

    #[test]
    fn zeros_are_no_page_and_one_bit_is() {
        assert_eq!(Smart::parse(&[0; 512]), None);
        for at in [0, 6, 200, 511] {
            let smart = Smart::parse(&page(&[(at, &[1])])).unwrap();
            assert_eq!(smart.temperature, None);
        }
        let coldest = Smart::parse(&page(&[(1, &[1, 0])])).unwrap();
        assert_eq!(coldest.temperature, Some(-272));
    }

    #[test]
    fn what_does_not_fit_stays_at_the_most() {
        let smart = Smart::parse(&[0xFF; 512]).unwrap();
        let counters = [
            smart.read_bytes,
            smart.write_bytes,
            smart.read_ops,
            smart.write_ops,
            smart.busy_seconds,
            smart.power_cycles,
            smart.power_on_seconds,
            smart.unsafe_shutdowns,
            smart.media_errors,
            smart.error_log_entries,
        ];
        assert_eq!(counters, [u64::MAX; 10]);
        assert_eq!(smart.warning_temperature_seconds, u64::from(u32::MAX) * 60);
        assert_eq!(smart.temperature, Some(65_535 - 273));
        // The last number of units that fits, and the first that does not.
        let fits = u64::MAX / 512_000;
        let bytes = |units: u64| {
            let page = page(&[(32, &u128::from(units).to_le_bytes())]);
            Smart::parse(&page).unwrap().read_bytes
        };
        assert_eq!(bytes(fits), fits * 512_000);
        assert_eq!(bytes(fits + 1), u64::MAX);
        // The second of these times a unit is a multiple of 2^128.
        for count in [1_u128 << 64, 1 << 120] {
            let page = page(&[(32, &count.to_le_bytes()), (64, &count.to_le_bytes())]);
            let smart = Smart::parse(&page).unwrap();
            assert_eq!([smart.read_bytes, smart.read_ops], [u64::MAX; 2]);
        }
    }

    #[test]
    fn each_warning_has_its_bit() {
        let words = |bits: u8| {
            let smart = Smart::parse(&page(&[(0, &[bits])])).unwrap();
            smart.warnings().map(Warning::word).collect::<Vec<_>>()
        };
        assert_eq!(words(0b00_0001), ["spare"]);
        assert_eq!(words(0b00_0010), ["temperature"]);
        assert_eq!(words(0b00_0100), ["reliability"]);
        assert_eq!(words(0b00_1000), ["read_only"]);
        assert_eq!(words(0b01_0000), ["backup"]);
        assert_eq!(words(0b10_0000), ["pmr"]);
        let unknown = Smart::parse(&page(&[(0, &[0xC0])])).unwrap();
        assert_eq!(unknown.warnings().count(), 0);
        let all = Smart::parse(&page(&[(0, &[0xFF])])).unwrap();
        assert!(all.warnings().eq(Warning::ALL));
    }

    proptest! {
        #[test]
        fn any_page_is_taken(bytes in prop::collection::vec(any::<u8>(), 512)) {
            let page: [u8; 512] = bytes.try_into().unwrap();
            let smart = Smart::parse(&page);
            prop_assert_eq!(smart.is_none(), page == [0; 512]);
        }

        #[test]
        fn a_page_says_what_was_written(
            head in prop::array::uniform4(any::<u8>()),
            kelvin in prop::array::uniform9(any::<u16>()),
            // Half as long, so that the products fit.
            counts in prop::array::uniform10(0..u64::from(u32::MAX)),
            minutes in any::<[u32; 2]>(),
        ) {
            let mut page = page(&[(0, &head[..1]), (1, &kelvin[8].to_le_bytes()), (3, &head[1..])]);
            for (i, count) in counts.into_iter().enumerate() {
                page[32 + 16 * i..][..16].copy_from_slice(&u128::from(count).to_le_bytes());
            }
            for (i, minutes) in minutes.into_iter().enumerate() {
                page[192 + 4 * i..][..4].copy_from_slice(&minutes.to_le_bytes());
            }
            for (i, kelvin) in kelvin[..8].iter().enumerate() {
                page[200 + 2 * i..][..2].copy_from_slice(&kelvin.to_le_bytes());
            }
            prop_assume!(page != [0; 512]);
            let degrees = |k: u16| if k == 0 { None } else { Some(i32::from(k) - 273) };
            let expected = Smart {
                critical_warning: head[0],
                temperature: degrees(kelvin[8]),
                spare: head[1],
                spare_threshold: head[2],
                used: head[3],
                read_bytes: counts[0] * 512_000,
                write_bytes: counts[1] * 512_000,
                read_ops: counts[2],
                write_ops: counts[3],
                busy_seconds: counts[4] * 60,
                power_cycles: counts[5],
                power_on_seconds: counts[6] * 3600,
                unsafe_shutdowns: counts[7],
                media_errors: counts[8],
                error_log_entries: counts[9],
                warning_temperature_seconds: u64::from(minutes[0]) * 60,
                critical_temperature_seconds: u64::from(minutes[1]) * 60,
                sensors: std::array::from_fn(|i| degrees(kelvin[i])),
            };
            prop_assert_eq!(Smart::parse(&page), Some(expected));
        }
    }
}
