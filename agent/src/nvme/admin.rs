//! The one admin command that instore sends: Get Log Page. It only reads, but
//! the kernel wants CAP_SYS_ADMIN for it. Nothing here knows what a page means.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use anyhow::{Context as _, Result, ensure};

mod ioctl {
    //! Numbers from <linux/nvme_ioctl.h>.
    pub(super) const NVME: u8 = b'N';
    pub(super) const ADMIN_COMMAND: u8 = 0x41;
    nix::ioctl_readwrite!(admin_command, NVME, ADMIN_COMMAND, super::Command);
}

/// Opcode from the NVMe base specification, as are the places of its fields.
const GET_LOG_PAGE: u8 = 0x02;

/// Lengths and offsets are counted in these.
const DWORD: usize = 4;

/// What a controller can send in one command is counted in pages of at least
/// this size: each can send one, and some cannot send more.
const MOST: usize = 4096;

/// Status code and its type. The bits above say whether to try again.
const STATUS_BITS: u32 = 0x7FF;

/// `struct nvme_passthru_cmd` from <linux/nvme_ioctl.h>.
#[repr(C)]
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    opcode: u8,
    flags: u8,
    reserved: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    address: u64,
    metadata_length: u32,
    data_length: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    /// Stays zero, which is the kernel's own limit (a minute, unless set
    /// otherwise). It is no deadline: when it passes, the kernel resets the
    /// controller, and everything that the disk had to do waits for that. The
    /// caller has a deadline of its own, and leaves a thread behind that hangs.
    timeout_ms: u32,
    result: u32,
}

// The size is a part of the ioctl's number.
const _: () = assert!(size_of::<Command>() == 72);

/// The answer of a controller that will not give a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Status {
    #[error("controller refuses: invalid field in the command")]
    InvalidField,
    #[error("controller refuses: invalid log page")]
    InvalidLogPage,
    /// Status code type and status code.
    #[error("controller refuses: NVMe status {0:#05x}")]
    Other(u32),
}

impl Status {
    /// What the ioctl returned, as an error where it is one.
    fn check(returned: i32) -> Result<(), Self> {
        if returned == 0 {
            return Ok(());
        }
        Err(match returned.unsigned_abs() & STATUS_BITS {
            0x002 => Self::InvalidField,
            0x109 => Self::InvalidLogPage,
            other => Self::Other(other),
        })
    }
}

/// Fills the buffer from a log page, beginning at an offset.
///
/// # Errors
/// When the device is not NVMe, does not answer, or refuses: then the chain
/// holds a [`Status`].
pub(super) fn get_log_page(
    fd: BorrowedFd<'_>,
    page: u8,
    nsid: u32,
    offset: u64,
    buffer: &mut [u8],
) -> Result<()> {
    let mut command = command(page, nsid, offset, buffer.len())?;
    command.address = u64::try_from(buffer.as_mut_ptr().expose_provenance())?;
    // SAFETY: the kernel reads and writes one `Command` of the layout it knows,
    // and through it writes at most `data_length` bytes at `address`. Those are
    // the length and the start of a buffer that is ours alone during the call.
    let returned = unsafe { ioctl::admin_command(fd.as_raw_fd(), &raw mut command) }
        .context("send an NVMe admin command")?;
    Ok(Status::check(returned)?)
}

/// The command without its buffer.
fn command(page: u8, nsid: u32, offset: u64, length: usize) -> Result<Command> {
    ensure!(
        (DWORD..=MOST).contains(&length) && length.is_multiple_of(DWORD),
        "ask for {length} bytes of a log page: not a multiple of {DWORD} up to {MOST}"
    );
    // One less than there are, so that zero can be asked for by nobody.
    let dwords = u32::try_from(length / DWORD - 1)?;
    let [low, high] = [offset & u64::from(u32::MAX), offset >> 32];
    Ok(Command {
        opcode: GET_LOG_PAGE,
        nsid,
        data_length: u32::try_from(length)?,
        // `MOST` keeps the count within its lower half, which is here.
        cdw10: u32::from(page) | dwords << 16,
        cdw12: u32::try_from(low)?,
        cdw13: u32::try_from(high)?,
        ..Command::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;
    use std::fs::File;
    use std::mem::offset_of;
    use std::os::fd::AsFd as _;

    #[test]
    fn the_ioctl_is_the_kernels() {
        use ioctl::{ADMIN_COMMAND, NVME};
        let number = nix::request_code_readwrite!(NVME, ADMIN_COMMAND, size_of::<Command>());
        assert_eq!(format!("{number:X}"), "C0484E41");
        let places = [
            (offset_of!(Command, nsid), 4),
            (offset_of!(Command, metadata), 16),
            (offset_of!(Command, address), 24),
            (offset_of!(Command, data_length), 36),
            (offset_of!(Command, cdw10), 40),
            (offset_of!(Command, cdw15), 60),
            (offset_of!(Command, timeout_ms), 64),
            (offset_of!(Command, result), 68),
        ];
        for (place, expected) in places {
            assert_eq!(place, expected);
        }
    }

    #[test]
    fn a_command_counts_dwords_from_zero() {
        let health = Command {
            opcode: 2,
            nsid: 0xFFFF_FFFF,
            data_length: 512,
            cdw10: 0x007F_0002,
            ..Command::default()
        };
        assert_eq!(command(0x02, 0xFFFF_FFFF, 0, 512).unwrap(), health);
        let second = Command {
            opcode: 2,
            nsid: 7,
            data_length: 4096,
            cdw10: 0x03FF_00D0,
            cdw12: 4096,
            ..Command::default()
        };
        assert_eq!(command(0xD0, 7, 4096, 4096).unwrap(), second);
        let far = command(0xD0, 7, 0x0000_0001_8000_0004, 4).unwrap();
        assert_eq!((far.cdw10, far.cdw12, far.cdw13), (0xD0, 0x8000_0004, 1));
        for length in [0, 1, 3, 510, 4095, 4100, 1 << 20] {
            assert!(command(0x02, 1, 0, length).is_err(), "{length}");
        }
    }

    #[test]
    fn a_status_is_named_without_its_advice_on_trying_again() {
        assert_eq!(Status::check(0), Ok(()));
        for returned in [0x0002, 0x4002, 0x6002] {
            assert_eq!(Status::check(returned), Err(Status::InvalidField));
        }
        for returned in [0x0109, 0x4109, 0x7909] {
            assert_eq!(Status::check(returned), Err(Status::InvalidLogPage));
        }
        let other = Status::check(0x4007).unwrap_err();
        assert_eq!(other.to_string(), "controller refuses: NVMe status 0x007");
    }

    #[test]
    fn a_device_that_is_not_nvme_is_an_error() {
        let null = File::open("/dev/null").unwrap();
        let mut buffer = [7; 512];
        let error = get_log_page(null.as_fd(), 0x02, 1, 0, &mut buffer).unwrap_err();
        assert_eq!(error.downcast_ref::<Errno>(), Some(&Errno::ENOTTY));
        assert_eq!(buffer, [7; 512]);
    }
}
