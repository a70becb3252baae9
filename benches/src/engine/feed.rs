//! What a thread does next: an I/O, a wait, a sync, or nothing more. It decides by
//! the job, the clock and what was given out; the engines only do it.

use super::clock::NANOSECONDS;
use crate::job::{Access, Job};
use crate::offsets::{Direction, Offsets, Region, Request};

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Submit(Request),
    /// Nothing before this time; what is in flight may go on.
    Wait(u64),
    /// When all in flight is done: this, then ask again.
    Quiesced(Pause),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    Fsync,
    Fdatasync,
    /// Until then, at the earliest this long from when all is done.
    Think(u64),
}

/// The work of one thread, in order.
#[derive(Debug)]
pub(super) struct Feed {
    offsets: Offsets,
    /// Bytes to go; the loops of the job are in it.
    left: u64,
    /// Starts again when nothing is left.
    endless: Option<u64>,
    /// When the runtime is over.
    deadline: u64,
    /// Anything but "the next I/O at once" is in here, off the usual path.
    holds: Option<Box<Holds>>,
    /// I/Os given out.
    given: u64,
}

#[derive(Debug)]
struct Holds {
    /// Bytes and I/Os a second, for each direction.
    rates: [[u64; 2]; 2],
    began: Option<u64>,
    done: [[u64; 2]; 2],
    /// Drawn, and waiting for its rate.
    pending: Option<Direction>,
    mixed: bool,
    think: u64,
    think_blocks: u64,
    since_think: u64,
    syncs: [(u64, Pause); 2],
    since_sync: [u64; 2],
}

impl Feed {
    /// The work of a thread: `bytes` in all in these regions.
    pub(super) fn new(job: &Job, thread: u32, regions: &[Region], bytes: u64) -> Self {
        Self {
            offsets: Offsets::new(job, thread, regions),
            left: bytes,
            endless: job.time_based.then_some(bytes),
            deadline: u64::MAX,
            holds: Holds::new(job).map(Box::new),
            given: 0,
        }
    }

    /// The same I/Os once more, as far as they were given out, to read them back.
    pub(super) fn again(
        job: &Job,
        thread: u32,
        regions: &[Region],
    ) -> impl Iterator<Item = Request> {
        let mut offsets = Offsets::new(job, thread, regions);
        std::iter::repeat_with(move || offsets.draw())
    }

    /// From now on it ends at that time.
    pub(super) fn end_at(&mut self, deadline: u64) {
        self.deadline = deadline;
    }

    pub(super) fn end_now(&mut self) {
        self.deadline = 0;
    }

    /// Nothing begins from then on.
    pub(super) fn deadline(&self) -> u64 {
        self.deadline
    }

    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// The measured part begins: rates count from here.
    pub(super) fn restart(&mut self) {
        if let Some(holds) = &mut self.holds {
            (holds.began, holds.done) = (None, [[0; 2]; 2]);
        }
    }

    #[inline]
    pub(super) fn next(&mut self, now: u64) -> Next {
        if now >= self.deadline {
            return Next::Done;
        }
        if self.left == 0 {
            match self.endless {
                Some(bytes) => self.left = bytes,
                None => return Next::Done,
            }
        }
        let offsets = &mut self.offsets;
        let request = match &mut self.holds {
            None => offsets.draw(),
            Some(holds) => match holds.next(now, offsets) {
                Ok(direction) => offsets.draw_of(direction),
                Err(Next::Wait(until)) => return Next::Wait(until.min(self.deadline)),
                Err(held) => return held,
            },
        };
        // The last one is whole, as with fio: O_DIRECT takes no part of a block.
        self.left = self.left.saturating_sub(u64::from(request.length));
        self.given += 1;
        if let Some(holds) = &mut self.holds {
            holds.gave(&request);
        }
        Next::Submit(request)
    }
}

impl Holds {
    fn new(job: &Job) -> Option<Self> {
        let rates = [0, 1].map(|side| {
            [
                job.rate[side].unwrap_or(0),
                u64::from(job.rate_iops[side].unwrap_or(0)),
            ]
        });
        let think = u64::try_from(job.think_time.as_nanos()).unwrap_or(u64::MAX);
        let syncs = [
            (u64::from(job.fsync), Pause::Fsync),
            (u64::from(job.fdatasync), Pause::Fdatasync),
        ];
        let none = rates == [[0; 2]; 2] && think == 0 && syncs.iter().all(|(every, _)| *every == 0);
        (!none).then(|| Self {
            rates,
            began: None,
            done: [[0; 2]; 2],
            pending: None,
            mixed: job.access == Access::Mixed,
            think,
            think_blocks: u64::from(job.think_blocks.max(1)),
            since_think: 0,
            syncs,
            since_sync: [0; 2],
        })
    }

    /// The direction of the next I/O, or what comes before it. A direction that is
    /// ahead of its rate lets the other one go first.
    fn next(&mut self, now: u64, offsets: &mut Offsets) -> Result<Direction, Next> {
        for (since, (every, pause)) in self.since_sync.iter_mut().zip(self.syncs) {
            if every > 0 && *since >= every {
                *since = 0;
                return Err(Next::Quiesced(pause));
            }
        }
        if self.think > 0 && self.since_think >= self.think_blocks {
            self.since_think = 0;
            return Err(Next::Quiesced(Pause::Think(self.think)));
        }
        let began = *self.began.get_or_insert(now);
        let drawn = *self.pending.get_or_insert_with(|| offsets.direction());
        let due = |direction: Direction| began.saturating_add(self.due(direction as usize));
        let other = drawn.other();
        let (direction, due) = match (due(drawn), due(other)) {
            (own, others) if self.mixed && own > now && others < own => (other, others),
            (own, _) => (drawn, own),
        };
        if due > now {
            return Err(Next::Wait(due));
        }
        if direction == drawn {
            self.pending = None;
        }
        Ok(direction)
    }

    /// When the next I/O of a direction may begin, from the beginning: when what was
    /// given out before it fits the rate.
    fn due(&self, side: usize) -> u64 {
        let of = |done: u64, rate: u64| match rate {
            0 => 0,
            rate => u64::try_from(u128::from(done) * u128::from(NANOSECONDS) / u128::from(rate))
                .unwrap_or(u64::MAX),
        };
        let [[bytes, ios], [byte_rate, io_rate]] = [self.done[side], self.rates[side]];
        of(bytes, byte_rate).max(of(ios, io_rate))
    }

    fn gave(&mut self, request: &Request) {
        let done = &mut self.done[request.direction as usize];
        done[0] += u64::from(request.length);
        done[1] += 1;
        self.since_think += 1;
        if request.direction == Direction::Write {
            self.since_sync.iter_mut().for_each(|since| *since += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Order, testing::job};
    use std::time::Duration;

    const REGION: [Region; 1] = [Region {
        start: 0,
        length: 1 << 20,
    }];

    /// Does what it says on a clock of its own, and lists the times of the I/Os.
    fn times(mut feed: Feed, count: usize) -> Vec<u64> {
        let (mut now, mut seen) = (0, Vec::new());
        while seen.len() < count {
            match feed.next(now) {
                Next::Submit(_) => seen.push(now),
                Next::Wait(until) => now = until,
                Next::Quiesced(Pause::Think(time)) => now += time,
                Next::Quiesced(_) => now += 7,
                Next::Done => break,
            }
        }
        seen
    }

    #[test]
    fn it_ends_when_all_is_given_out() {
        let job = job(Access::Read, Order::Random, 4096);
        let feed = Feed::new(&job, 0, &REGION, 5 * 4096 + 100);
        assert_eq!(times(feed, 100).len(), 6);
    }

    #[test]
    fn time_based_goes_on_until_the_deadline() {
        let mut job = job(Access::Read, Order::Random, 4096);
        job.time_based = true;
        let mut feed = Feed::new(&job, 0, &REGION, 4096);
        feed.end_at(1000);
        for now in 0..1000 {
            assert!(matches!(feed.next(now), Next::Submit(_)));
        }
        assert_eq!(feed.next(1000), Next::Done);
    }

    #[test]
    fn rates_hold_over_the_whole_time() {
        let mut job = job(Access::Read, Order::Random, 4096);
        job.rate_iops = [Some(1000), None];
        let seen = times(Feed::new(&job, 0, &REGION, 1 << 20), 5);
        assert_eq!(seen, [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]);
        job.rate = [Some(4096 * 500), None];
        let seen = times(Feed::new(&job, 0, &REGION, 1 << 20), 3);
        assert_eq!(seen, [0, 2_000_000, 4_000_000]);
    }

    #[test]
    fn a_direction_ahead_of_its_rate_lets_the_other_go_on() {
        let mut job = job(Access::Mixed, Order::Random, 4096);
        (job.rate_iops, job.time_based) = ([Some(1000), Some(100)], true);
        let mut feed = Feed::new(&job, 0, &REGION, 1 << 20);
        let (mut now, mut done) = (0, [0; 2]);
        while now < 1_000_000_000 {
            match feed.next(now) {
                Next::Submit(request) => done[request.direction as usize] += 1,
                Next::Wait(until) => now = until,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(done, [1000, 100]);
    }

    #[test]
    fn nothing_is_waited_for_beyond_the_deadline() {
        let mut job = job(Access::Read, Order::Random, 4096);
        job.rate_iops = [Some(1), None];
        let mut feed = Feed::new(&job, 0, &REGION, 1 << 20);
        feed.end_at(500);
        assert!(matches!(feed.next(0), Next::Submit(_)));
        assert_eq!(feed.next(1), Next::Wait(500));
        assert_eq!(feed.next(500), Next::Done);
    }

    #[test]
    fn it_thinks_and_syncs_after_so_many() {
        let mut job = job(Access::Write, Order::Sequential, 4096);
        job.think_time = Duration::from_nanos(50);
        job.think_blocks = 2;
        assert_eq!(
            times(Feed::new(&job, 0, &REGION, 1 << 20), 5),
            [0, 0, 50, 50, 100]
        );
        job.fsync = 3;
        assert_eq!(
            times(Feed::new(&job, 0, &REGION, 1 << 20), 5),
            [0, 0, 50, 57, 107]
        );
    }

    #[test]
    fn reading_back_visits_what_was_written() {
        let mut job = job(Access::Write, Order::Random, 4096);
        job.random.seed = 9;
        let mut feed = Feed::new(&job, 3, &REGION, 1 << 20);
        let written: Vec<Request> = std::iter::from_fn(|| match feed.next(0) {
            Next::Submit(request) => Some(request),
            _ => None,
        })
        .collect();
        assert_eq!(written.len(), 256);
        assert!(Feed::again(&job, 3, &REGION).take(256).eq(written));
    }
}
