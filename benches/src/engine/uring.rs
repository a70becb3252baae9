//! The io_uring engine: as many I/Os in flight as the job says, submitted and taken
//! in batches. In its loop there is no allocation, no lock, and one look at the
//! clock for each batch that is taken: what is submitted next is submitted then.

use std::io;
use std::os::fd::AsRawFd as _;

use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{Builder, IoUring, opcode, squeue};
use nix::libc;

use super::clock::{self, NANOSECONDS};
use super::feed::{Next, Pause};
use super::lane::{Lane, failure};
use super::memory::Buffers;
use super::stats::batch_step;
use crate::job::Job;
use crate::offsets::{Direction, Request};
use crate::results::Failure;
use crate::target::Opened;

/// A ring, and what the kernel lets it do.
pub(super) struct Ring {
    ring: IoUring,
    fixed_files: bool,
    fixed_buffers: bool,
    /// What it is, for people.
    pub(super) says: String,
}

/// One I/O in flight.
#[derive(Clone, Copy)]
struct Slot {
    request: Request,
    began: u64,
}

impl Ring {
    /// A ring for a job; what the kernel does not know is left out and said.
    ///
    /// # Errors
    /// When there is no io_uring at all.
    pub(super) fn new(job: &Job, files: &[Opened], buffers: &Buffers) -> io::Result<Self> {
        let (ring, mut says) = build(job)?;
        let mut registered = Vec::new();
        // Registering lasts as long as its submitter, so `run` does it again.
        let mut submitter = ring.submitter();
        if submitter.register_ring_fd().is_ok() {
            let _ = submitter.unregister_ring_fd();
            registered.push("ring");
        }
        let descriptors: Vec<i32> = files.iter().map(|file| file.file.as_raw_fd()).collect();
        let fixed_files = job.register_files != Some(false)
            && ring.submitter().register_files(&descriptors).is_ok();
        if fixed_files {
            registered.push("files");
        }
        // SAFETY: the buffers outlive the ring: `run` owns the ring and borrows them.
        let fixed_buffers = job.fixed_buffers != Some(false)
            && unsafe { ring.submitter().register_buffers(&buffers.as_iovecs()) }.is_ok();
        if fixed_buffers {
            registered.push("buffers");
        }
        if registered.is_empty() {
            says.push_str(", nothing registered");
        } else {
            says = format!("{says}, registered {}", registered.join(", "));
        }
        Ok(Self {
            ring,
            fixed_files,
            fixed_buffers,
            says,
        })
    }

    /// Does what the feed of a lane says until it is done.
    pub(super) fn run(
        &mut self,
        job: &Job,
        lane: &mut Lane<'_>,
        buffers: &mut Buffers,
    ) -> Result<(), Failure> {
        let depth = buffers.count();
        let nothing = Request {
            direction: Direction::Read,
            file: 0,
            offset: 0,
            length: 0,
        };
        let mut slots = vec![
            Slot {
                request: nothing,
                began: 0
            };
            depth
        ];
        let mut free: Vec<u32> = (0..u32::try_from(depth).unwrap_or(u32::MAX))
            .rev()
            .collect();
        let mut batch = job
            .batch_submit
            .map_or(usize::MAX, |batch| batch.max(1) as usize);
        let most = job
            .batch_complete_max
            .map_or(usize::MAX, |most| most.max(1) as usize);
        let least = job.batch_complete_min as usize;
        let low = job.depth_low.map_or(depth, |low| (low as usize).min(depth));
        let entry = Entries {
            files: &lane.files_of(),
            fixed_files: self.fixed_files,
            fixed_buffers: self.fixed_buffers,
        };
        let (mut submitter, mut submission, mut completion) = self.ring.split();
        // Saves looking the descriptor up at each call; what it cannot do is in `says`.
        let _ = submitter.register_ring_fd();
        let mut now = clock::now();
        let mut over = None;
        // What the feed said instead of an I/O: it holds until nothing is in flight.
        let mut held = None;
        loop {
            let mut queued = 0_u32;
            if let Some(Next::Wait(_)) = held {
                held = None;
            }
            while held.is_none()
                && over.is_none()
                && let Some(index) = free.last().copied()
            {
                match lane.feed.next(now) {
                    Next::Submit(request) => {
                        let slot = index as usize;
                        free.pop();
                        let mut began = now;
                        if request.direction == Direction::Write {
                            lane.contents
                                .prepare(buffers.get(slot, request.length as usize), &request);
                            if lane.contents.takes_time() {
                                began = clock::now();
                            }
                        }
                        slots[slot] = Slot { request, began };
                        let made = entry.of(&request, buffers.pointer(slot), index);
                        // SAFETY: buffer and descriptor live as long as the ring, and
                        // no other I/O uses the buffer before this one is done.
                        while unsafe { submission.push(&made) }.is_err() {
                            // Only a submission thread leaves entries behind; it is
                            // waited for.
                            submission.sync();
                            submitter
                                .squeue_wait()
                                .map_err(|error| lane.system("queue", &error))?;
                            submission.sync();
                        }
                        queued += 1;
                        lane.stats
                            .depth(u32::try_from(depth - free.len()).unwrap_or(u32::MAX));
                        if queued as usize >= batch && !free.is_empty() {
                            submission.sync();
                            enter(&submitter, 0, None)
                                .map_err(|error| lane.system("submit", &error))?;
                            submission.sync();
                            lane.stats.queue.submitted[batch_step(queued)] += u64::from(queued);
                            queued = 0;
                        }
                    }
                    other => held = Some(other),
                }
            }
            let in_flight = depth - free.len();
            if in_flight == 0 {
                if let Some(failure) = over {
                    return Err(failure);
                }
                match held.take() {
                    None | Some(Next::Submit(_)) => {}
                    Some(Next::Done) => return Ok(()),
                    Some(Next::Wait(until)) => lane.sleep_until(until),
                    Some(Next::Quiesced(Pause::Think(time))) => {
                        lane.sleep_until(clock::now().saturating_add(time))
                    }
                    Some(Next::Quiesced(pause)) => lane.sync(pause)?,
                }
                now = clock::now();
                lane.tick(now);
                continue;
            }
            submission.sync();
            let submitted = now;
            let (want, until) = match held {
                None => (
                    if free.is_empty() {
                        least.max(depth - low)
                    } else {
                        least
                    },
                    None,
                ),
                // Free places, and something to do at a time.
                Some(Next::Wait(until)) => (1, Some(until)),
                Some(_) => (1, None),
            };
            enter(
                &submitter,
                want.min(in_flight),
                until.map(|until| until.saturating_sub(now)),
            )
            .map_err(|error| lane.system("submit and wait", &error))?;
            if queued > 0 {
                lane.stats.queue.submitted[batch_step(queued)] += u64::from(queued);
            }
            now = clock::now();
            // Places that the kernel has taken are free again.
            submission.sync();
            completion.sync();
            let mut taken = 0;
            for done in completion.by_ref().take(most) {
                taken += 1;
                // What was put in is an index of this many buffers.
                let index = u32::try_from(done.user_data()).unwrap_or(u32::MAX);
                let Slot { request, began } = slots[index as usize];
                free.push(index);
                match u32::try_from(done.result()) {
                    Ok(bytes) if bytes == request.length => {
                        lane.stats.record(
                            request.direction,
                            u64::from(bytes),
                            now.saturating_sub(began),
                        );
                        if lane.checks && request.direction == Direction::Read {
                            let block = buffers.get(index as usize, request.length as usize);
                            if let Err(bad) = lane.check(block, &request) {
                                over.get_or_insert(bad);
                            }
                        }
                    }
                    Ok(bytes) => {
                        if let Err(short) = lane.short(&request, bytes, now.saturating_sub(began)) {
                            over.get_or_insert(short);
                        }
                    }
                    Err(_) => {
                        over.get_or_insert_with(|| failure(lane.files, &request, -done.result()));
                    }
                }
            }
            completion.sync();
            if lane.checks {
                // Checking is not in the time of what is submitted next.
                now = clock::now();
            }
            lane.stats.queue.completed[batch_step(taken)] += u64::from(taken);
            if job.batch_submit.is_none() {
                batch = best_batch(depth, now - submitted, taken);
            }
            lane.tick(now);
        }
    }
}

/// How many are submitted at once, by the time that the last ones took together. A
/// device that takes long for each is kept busy by getting the first ones early;
/// a fast one is used best with few system calls.
fn best_batch(depth: usize, time: u64, taken: u32) -> usize {
    /// A system call takes some 100 ns; here it is two percent of an I/O.
    const SLOW: u64 = 5_000;
    match time / u64::from(taken.max(1)) {
        0..SLOW => usize::MAX,
        _ => (depth / 8).max(1),
    }
}

/// Makes entries for the ring: of what is registered where it is.
struct Entries<'a> {
    files: &'a [i32],
    fixed_files: bool,
    fixed_buffers: bool,
}

impl Entries<'_> {
    #[inline]
    fn of(&self, request: &Request, buffer: *mut u8, slot: u32) -> squeue::Entry {
        // Both are indices into small arrays of ours.
        let index = u16::try_from(slot).unwrap_or(u16::MAX);
        let (length, offset) = (request.length, request.offset);
        let file = request.file;
        let raw = Fd(self.files[file as usize]);
        let made = match (request.direction, self.fixed_files, self.fixed_buffers) {
            (Direction::Read, true, true) => {
                opcode::ReadFixed::new(Fixed(file), buffer, length, index)
                    .offset(offset)
                    .build()
            }
            (Direction::Read, false, true) => opcode::ReadFixed::new(raw, buffer, length, index)
                .offset(offset)
                .build(),
            (Direction::Read, true, false) => opcode::Read::new(Fixed(file), buffer, length)
                .offset(offset)
                .build(),
            (Direction::Read, false, false) => opcode::Read::new(raw, buffer, length)
                .offset(offset)
                .build(),
            (Direction::Write, true, true) => {
                opcode::WriteFixed::new(Fixed(file), buffer, length, index)
                    .offset(offset)
                    .build()
            }
            (Direction::Write, false, true) => opcode::WriteFixed::new(raw, buffer, length, index)
                .offset(offset)
                .build(),
            (Direction::Write, true, false) => opcode::Write::new(Fixed(file), buffer, length)
                .offset(offset)
                .build(),
            (Direction::Write, false, false) => opcode::Write::new(raw, buffer, length)
                .offset(offset)
                .build(),
        };
        made.user_data(u64::from(slot))
    }
}

/// Submits what is queued and waits for so many, or until a time is over. An
/// interruption is no error: what was not done is asked for again.
#[inline]
fn enter(submitter: &io_uring::Submitter<'_>, want: usize, wait: Option<u64>) -> io::Result<()> {
    let result = match wait {
        None => submitter.submit_and_wait(want),
        Some(nanoseconds) => {
            let time = Timespec::new()
                .sec(nanoseconds / NANOSECONDS)
                .nsec(u32::try_from(nanoseconds % NANOSECONDS).unwrap_or(0));
            submitter.submit_with_args(want, &SubmitArgs::new().timespec(&time))
        }
    };
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            // EBUSY and EAGAIN: the kernel wants completions taken first.
            Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

/// A way to set up a ring, and its name for people.
type Step = (&'static str, fn(&mut Builder));

/// The best ring that this kernel knows.
fn build(job: &Job) -> io::Result<(IoUring, String)> {
    let entries = job.depth.next_power_of_two();
    let polled = |builder: &mut Builder| {
        if job.polled {
            builder.setup_iopoll();
        }
    };
    if job.submission_thread {
        let mut builder = IoUring::builder();
        polled(&mut builder);
        // Asleep after a second without work, as the kernel does by itself.
        builder.setup_sqpoll(1000);
        if let Some(cpu) = job.submission_cpu {
            builder.setup_sqpoll_cpu(cpu);
        }
        return Ok((
            builder.build(entries)?,
            named("io_uring, submission thread", job),
        ));
    }
    // From 6.6 down to 5.1; each is refused with EINVAL by a kernel before it.
    let steps: [Step; 4] = [
        ("io_uring, deferred task work", |builder| {
            builder
                .setup_single_issuer()
                .setup_defer_taskrun()
                .setup_no_sqarray();
        }),
        ("io_uring, deferred task work", |builder| {
            builder.setup_single_issuer().setup_defer_taskrun();
        }),
        ("io_uring, cooperative task work", |builder| {
            builder.setup_coop_taskrun();
        }),
        ("io_uring", |_| ()),
    ];
    let mut last = io::Error::from_raw_os_error(libc::EINVAL);
    for (says, choose) in steps {
        let mut builder = IoUring::builder();
        polled(&mut builder);
        choose(&mut builder);
        match builder.build(entries) {
            Ok(ring) => return Ok((ring, named(says, job))),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn named(says: &str, job: &Job) -> String {
    if job.polled {
        format!("{says}, polled")
    } else {
        says.to_owned()
    }
}
