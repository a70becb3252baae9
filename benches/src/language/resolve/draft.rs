//! What each option does to a job. Options are applied in their order, so that
//! the last one counts.

use super::super::Setting;
use super::super::options::{self, Kind};
use super::super::suggest;
use super::super::units::{self, Base, Without};
use super::{MOST_CLONES, lists};
use crate::job::{Access, BlockSize, Distribution, Engine, Fallocate, Job, Order, Size, Verify};

/// Seeds of jobs that name none: any odd number, the same in each run.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// A job on its way, with what is decided when all options are there.
#[derive(Debug)]
pub(super) struct Draft {
    job: Job,
    base: Base,
    fixed: [Option<u64>; 2],
    range: [Option<(u64, u64)>; 2],
    split: [Option<lists::Shares>; 2],
    file_size: Option<u64>,
    seed: Option<u64>,
    repeat: [bool; 2],
    verify: bool,
    verify_fatal: bool,
    read_back: bool,
}

impl Draft {
    pub(super) fn new(name: &str) -> Self {
        Self {
            job: Job::new(name),
            base: Base::Binary,
            fixed: [None; 2],
            range: [None; 2],
            split: [None, None],
            file_size: None,
            seed: None,
            repeat: [true, false],
            verify: false,
            verify_fatal: false,
            read_back: true,
        }
    }

    /// Applies one option; what is wrong with it else.
    pub(super) fn apply(&mut self, setting: &Setting) -> Result<(), String> {
        let value = match (
            &setting.value,
            options::find(setting.name).map(|option| option.kind),
        ) {
            (_, Some(Kind::Fixed(values))) => {
                let value = setting.value.as_deref().unwrap_or("1");
                let help = options::find(setting.name)
                    .map(|option| option.help)
                    .unwrap_or_default();
                return if values.contains(&value) {
                    Ok(())
                } else {
                    Err(format!("only {} is supported: {help}", values.join(" or ")))
                };
            }
            (Some(value), _) if value.is_empty() => {
                return Err("has no value: write one, or leave the option out".to_string());
            }
            (Some(value), _) => value.as_str(),
            (None, Some(Kind::Flag)) => "1",
            (None, kind) => {
                let takes = kind.map(Kind::takes).unwrap_or_default();
                return Err(format!("has no value: it takes {takes}"));
            }
        };
        self.text(setting.name, value)?;
        Ok(())
    }

    fn text(&mut self, name: &str, value: &str) -> Result<(), String> {
        let job = &mut self.job;
        match name {
            "name" => job.name = value.to_string(),
            "description" => job.description = value.to_string(),
            "filename" => job.filenames = lists::paths(value)?,
            "directory" => job.directories = lists::paths(value)?,
            "rw" => (job.access, job.order) = pattern(value)?,
            "ioengine" => {
                job.engine = match value {
                    "io_uring" => Engine::Uring,
                    "psync" => Engine::Psync,
                    _ => return Err(suggest::word(name, value, &["io_uring", "psync"])),
                }
            }
            "fallocate" => {
                job.fallocate = match value {
                    "none" | "0" => Fallocate::None,
                    "native" => Fallocate::Native,
                    "posix" | "1" => Fallocate::Posix,
                    "keep" => Fallocate::KeepSize,
                    "truncate" => Fallocate::Truncate,
                    _ => {
                        return Err(suggest::word(
                            name,
                            value,
                            &["none", "native", "posix", "keep", "truncate"],
                        ));
                    }
                }
            }
            "random_distribution" => job.random.distribution = lists::distribution(value)?,
            "verify" => {
                self.verify = match value {
                    "crc32c" | "crc32c-intel" => true,
                    "0" => false,
                    _ => return Err(suggest::word(name, value, &["crc32c", "0"])),
                }
            }
            "cpus_allowed" => job.cpus = lists::cpus(value)?,
            "cpumask" => job.cpus = lists::mask(units::bytes(value, self.base)?)?,
            "cpus_allowed_policy" => {
                job.split_cpus = match value {
                    "shared" => false,
                    "split" => true,
                    _ => return Err(suggest::word(name, value, &["shared", "split"])),
                }
            }
            "nice" => job.nice = Some(nice(value)?),
            "percentile_list" => job.percentiles = lists::percentiles(value)?,
            "kb_base" => {
                self.base = match value {
                    "1024" => Base::Binary,
                    "1000" => Base::Decimal,
                    _ => return Err(suggest::word(name, value, &["1024", "1000"])),
                }
            }
            _ => return self.number(name, value),
        }
        Ok(())
    }

    fn number(&mut self, name: &str, value: &str) -> Result<(), String> {
        let (job, base) = (&mut self.job, self.base);
        let size = || units::size(value, base);
        let count = || units::count(value, base);
        match name {
            "numjobs" => job.numjobs = clones(count()?)?,
            "nrfiles" => job.files = at_least_one(count()?)?,
            "size" => job.size = Some(size()?),
            "filesize" => self.file_size = Some(units::bytes(value, base)?),
            "io_size" => job.io_size = Some(size()?),
            "offset" => job.offset = size()?,
            "offset_increment" => job.offset_increment = size()?,
            "rwmixread" => job.read_percent = units::percent(value)?,
            "rwmixwrite" => job.read_percent = 100 - units::percent(value)?,
            "bs" => put(
                &mut self.fixed,
                units::each(value, |text| units::bytes(text, base))?,
            ),
            "bsrange" => put(
                &mut self.range,
                units::each(value, |text| lists::range(text, base))?,
            ),
            "bssplit" => self.split = lists::splits(value, base)?.map(Some),
            "ba" => job.block_align = Some(units::bytes(value, base)?).filter(|align| *align > 0),
            "randseed" => self.seed = Some(units::bytes(value, base)?),
            "percentage_random" => {
                let mut each = job.random.percentage.map(Some);
                put(&mut each, units::each(value, units::percent)?);
                job.random.percentage = each.map(|share| share.unwrap_or(100));
            }
            "iodepth" => job.depth = at_least_one(count()?)?,
            "iodepth_batch" => job.batch_submit = Some(count()?).filter(|batch| *batch > 0),
            "iodepth_batch_complete_min" => job.batch_complete_min = count()?,
            "iodepth_batch_complete_max" => {
                job.batch_complete_max = Some(count()?).filter(|most| *most > 0)
            }
            "iodepth_low" => job.depth_low = Some(count()?).filter(|low| *low > 0),
            "sqthread_poll_cpu" => job.submission_cpu = Some(count()?),
            "loops" => job.loops = u64::from(at_least_one(count()?)?),
            "fsync" => job.fsync = count()?,
            "fdatasync" => job.fdatasync = count()?,
            "rate" => put_limit(
                &mut job.rate,
                units::each(value, |text| units::bytes(text, base))?,
            ),
            "rate_iops" => put_limit(
                &mut job.rate_iops,
                units::each(value, |text| units::count(text, base))?,
            ),
            "thinktime_blocks" => job.think_blocks = at_least_one(count()?)?,
            "buffer_compress_percentage" => job.buffers.compress_percent = units::percent(value)?,
            _ => return self.time_or_flag(name, value),
        }
        Ok(())
    }

    fn time_or_flag(&mut self, name: &str, value: &str) -> Result<(), String> {
        let job = &mut self.job;
        let time = || units::time(value, Without::Seconds);
        let on = || match value {
            "0" => Ok(false),
            "1" => Ok(true),
            _ => Err(format!("{value:?} is neither 0 nor 1")),
        };
        match name {
            "runtime" => job.runtime = Some(time()?).filter(|time| !time.is_zero()),
            "ramp_time" => job.ramp_time = time()?,
            "startdelay" => job.start_delay = time()?,
            "thinktime" => job.think_time = units::time(value, Without::Microseconds)?,
            "stonewall" => job.stonewall = on()?,
            "new_group" => job.new_group = on()?,
            "group_reporting" => job.group_reporting = on()?,
            "norandommap" => job.random.map = !on()?,
            "randrepeat" => self.repeat[0] = on()?,
            "allrandrepeat" => self.repeat[1] = on()?,
            "direct" => job.direct = on()?,
            "buffered" => job.direct = !on()?,
            "registerfiles" => job.register_files = Some(on()?),
            "fixedbufs" => job.fixed_buffers = Some(on()?),
            "hipri" => job.polled = on()?,
            "sqthread_poll" => job.submission_thread = on()?,
            "time_based" => job.time_based = on()?,
            "end_fsync" => job.end_fsync = on()?,
            "refill_buffers" => job.buffers.refill = on()?,
            "zero_buffers" => job.buffers.zero = on()?,
            "verify_fatal" => self.verify_fatal = on()?,
            "do_verify" => self.read_back = on()?,
            "unlink" => job.unlink = on()?,
            "invalidate" => job.invalidate = on()?,
            // jobs are threads, whatever is written
            "thread" => drop(on()?),
            _ => return Err(suggest::option(name)),
        }
        Ok(())
    }

    /// The job, when all options are there. `threads` are before it.
    pub(super) fn finish(self, threads: u32) -> Result<Job, String> {
        /// fio's `bs`.
        const BLOCK: u64 = 4096;
        let Self {
            mut job,
            fixed,
            range,
            split,
            ..
        } = self;
        let mut blocks = split
            .into_iter()
            .zip(range)
            .zip(fixed)
            .map(|((split, range), fixed)| match (split, range) {
                (Some(split), _) => BlockSize::Split(split),
                (None, Some((smallest, largest))) if smallest == largest => {
                    BlockSize::Fixed(smallest)
                }
                (None, Some((smallest, largest))) => BlockSize::Range(smallest, largest),
                (None, None) => BlockSize::Fixed(fixed.unwrap_or(BLOCK)),
            });
        if let (Some(read), Some(write)) = (blocks.next(), blocks.next()) {
            job.block_size = [read, write];
        }
        if let Some(each) = self.file_size {
            let files = if job.filenames.is_empty() {
                u64::from(job.files)
            } else {
                job.filenames.len() as u64
            };
            let all = each
                .checked_mul(files)
                .ok_or("filesize times nrfiles is more than 64 bits hold: write smaller ones")?;
            if job.size.is_some_and(|size| size != Size::Bytes(all)) {
                return Err(format!(
                    "filesize={each} of {files} files is not its size: write size={all}, and io_size for what is transferred"
                ));
            }
            job.size = Some(Size::Bytes(all));
        }
        job.random.seed = match self.seed {
            Some(seed) => seed,
            None if self.repeat.contains(&true) => SEED.wrapping_mul(u64::from(threads) + 1),
            None => fastrand::u64(..),
        };
        if job.random.distribution != Distribution::Uniform {
            // a hot block is visited again: there is nothing to map
            job.random.map = false;
        }
        job.batch_submit = job.batch_submit.map(|batch| batch.min(job.depth));
        job.verify = self.verify.then_some(Verify {
            fatal: self.verify_fatal,
            read_back: self.read_back,
        });
        Ok(job)
    }
}

/// `rw`.
fn pattern(value: &str) -> Result<(Access, Order), String> {
    const WORDS: [&str; 7] = [
        "read",
        "write",
        "randread",
        "randwrite",
        "rw",
        "readwrite",
        "randrw",
    ];
    Ok(match value {
        "read" => (Access::Read, Order::Sequential),
        "write" => (Access::Write, Order::Sequential),
        "randread" => (Access::Read, Order::Random),
        "randwrite" => (Access::Write, Order::Random),
        "rw" | "readwrite" => (Access::Mixed, Order::Sequential),
        "randrw" => (Access::Mixed, Order::Random),
        _ => {
            return Err(match value.split_once(':') {
                Some((word, _)) if WORDS.contains(&word) => {
                    format!(
                        "{value:?}: a number after the colon is not supported: write rw={word}, with percentage_random or offset"
                    )
                }
                _ => suggest::word("rw", value, &WORDS),
            });
        }
    })
}

/// Those that are given; the others stay.
fn put<T: Copy>(kept: &mut [Option<T>; 2], given: [Option<T>; 2]) {
    for (kept, given) in kept.iter_mut().zip(given) {
        *kept = given.or(*kept);
    }
}

/// As `put`; 0 is no limit.
fn put_limit<T: Copy + PartialEq + From<u8>>(kept: &mut [Option<T>; 2], given: [Option<T>; 2]) {
    put(kept, given);
    *kept = kept.map(|limit| limit.filter(|limit| *limit != T::from(0)));
}

fn at_least_one(number: u32) -> Result<u32, String> {
    if number == 0 {
        Err("0 is too small: write 1 or more".to_string())
    } else {
        Ok(number)
    }
}

fn clones(number: u32) -> Result<u32, String> {
    if number > MOST_CLONES {
        return Err(format!(
            "{number} is more than {MOST_CLONES}: each is a thread with its own buffers"
        ));
    }
    at_least_one(number)
}

fn nice(value: &str) -> Result<i32, String> {
    match value.parse::<i32>() {
        Ok(nice @ -20..=19) => Ok(nice),
        _ => Err(format!("{value:?} is not a whole number from -20 to 19")),
    }
}
