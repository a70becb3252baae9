//! The psync engine: one pread(2) or pwrite(2) after the other, to compare with.

use std::os::unix::fs::FileExt as _;

use super::clock;
use super::feed::{Next, Pause};
use super::lane::{Lane, failure};
use super::memory::Buffers;
use super::stats::batch_step;
use crate::offsets::Direction;
use crate::results::Failure;

/// Does what the feed of a lane says until it is done.
pub(super) fn run(lane: &mut Lane<'_>, buffers: &mut Buffers) -> Result<(), Failure> {
    let mut now = clock::now();
    loop {
        match lane.feed.next(now) {
            Next::Submit(request) => {
                let mut began = now;
                let file = &lane.files[request.file as usize].file;
                let buffer = buffers.get(0, request.length as usize);
                let done = match request.direction {
                    Direction::Read => file.read_at(buffer, request.offset),
                    Direction::Write => {
                        lane.contents.prepare(buffer, &request);
                        if lane.contents.takes_time() {
                            began = clock::now();
                        }
                        file.write_at(buffer, request.offset)
                    }
                };
                now = clock::now();
                match done.map(|bytes| u32::try_from(bytes).unwrap_or(u32::MAX)) {
                    Ok(bytes) if bytes == request.length => {
                        lane.stats
                            .record(request.direction, u64::from(bytes), now - began);
                        if lane.checks && request.direction == Direction::Read {
                            lane.check(buffer, &request)?;
                            // Checking is not in the time of the next one.
                            now = clock::now();
                        }
                    }
                    Ok(bytes) => lane.short(&request, bytes, now - began)?,
                    Err(error) => {
                        return Err(failure(
                            lane.files,
                            &request,
                            error.raw_os_error().unwrap_or(0),
                        ));
                    }
                }
                lane.stats.depth(1);
                lane.stats.queue.submitted[batch_step(1)] += 1;
                lane.stats.queue.completed[batch_step(1)] += 1;
            }
            Next::Wait(until) => {
                lane.sleep_until(until);
                now = clock::now();
            }
            Next::Quiesced(pause) => {
                match pause {
                    Pause::Think(time) => lane.sleep_until(now.saturating_add(time)),
                    Pause::Fsync | Pause::Fdatasync => lane.sync(pause)?,
                }
                now = clock::now();
            }
            Next::Done => return Ok(()),
        }
        lane.tick(now);
    }
}
