//! The I/O buffers of one thread: one mapping, aligned for any device.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::{io, slice};

use nix::libc;
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// Buffers of the same size, numbered from 0.
#[derive(Debug)]
pub(super) struct Buffers {
    base: NonNull<u8>,
    /// From one buffer to the next: a multiple of `ALIGNMENT`.
    stride: usize,
    count: usize,
    mapped: NonZeroUsize,
}

/// Enough for O_DIRECT on every device: the largest logical block size is a page.
const ALIGNMENT: usize = 4096;
/// Mapped as a whole, so that the kernel can use huge pages, which it registers faster.
const HUGE_PAGE: usize = 2 << 20;

impl Buffers {
    pub(super) fn new(count: usize, size: usize) -> io::Result<Self> {
        let too_large = || io::Error::from_raw_os_error(libc::ENOMEM);
        let stride = size
            .checked_next_multiple_of(ALIGNMENT)
            .ok_or_else(too_large)?;
        let wanted = stride.checked_mul(count).ok_or_else(too_large)?;
        let mapped = wanted
            .max(1)
            .checked_next_multiple_of(HUGE_PAGE)
            .and_then(NonZeroUsize::new)
            .ok_or_else(too_large)?;
        // SAFETY: a new private mapping of anonymous memory; nobody else knows it.
        let base = unsafe {
            mmap_anonymous(
                None,
                mapped,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_PRIVATE,
            )
        }?;
        // SAFETY: the mapping made above. Without huge pages it works as well.
        let _ = unsafe { madvise(base, mapped.get(), MmapAdvise::MADV_HUGEPAGE) };
        Ok(Self {
            base: base.cast(),
            stride,
            count,
            mapped,
        })
    }

    /// Where a buffer is, for the kernel.
    #[inline]
    pub(super) fn pointer(&self, index: usize) -> *mut u8 {
        assert!(index < self.count);
        // SAFETY: inside the mapping, as index is below the count.
        unsafe { self.base.as_ptr().add(index * self.stride) }
    }

    /// A buffer that the kernel is not working on.
    pub(super) fn get(&mut self, index: usize, length: usize) -> &mut [u8] {
        assert!(length <= self.stride);
        // SAFETY: inside the mapping, and borrowed with it. The engine calls this
        // only for a buffer with no I/O in flight.
        unsafe { slice::from_raw_parts_mut(self.pointer(index), length) }
    }

    pub(super) fn as_iovecs(&self) -> Vec<libc::iovec> {
        (0..self.count)
            .map(|index| libc::iovec {
                iov_base: self.pointer(index).cast(),
                iov_len: self.stride,
            })
            .collect()
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, which nobody uses any more: the engine
        // drops its ring, which waits for what is in flight, before its buffers.
        let _ = unsafe { munmap(self.base.cast(), self.mapped.get()) };
    }
}
