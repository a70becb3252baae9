//! What cannot be together in one job. What depends on the target, such as a
//! missing size of a new file, is checked where the target is.

use crate::job::{Access, BlockSize, Engine, Job, Size};

/// As many entries as a ring of the kernel can have.
const DEEPEST: u32 = 32_768;

/// Of all buffers of one thread: each has one for each request in flight.
const MOST_BUFFERS: u64 = 4 << 30;

/// What O_DIRECT needs at least.
const SECTOR: u64 = 512;

/// What is wrong with the job.
pub(super) fn job(job: &Job) -> Result<(), String> {
    names(job)?;
    queue(job)?;
    blocks(job)?;
    verify(job)?;
    if job.time_based && job.runtime.is_none() {
        return Err("time_based without runtime: write runtime=30".to_string());
    }
    for (rate, iops) in job.rate.iter().zip(job.rate_iops) {
        if rate.is_some() && iops.is_some() {
            return Err("rate together with rate_iops: write one of them".to_string());
        }
    }
    Ok(())
}

fn names(job: &Job) -> Result<(), String> {
    /// A file is named after the job, with two numbers behind it.
    const LONGEST: usize = 200;
    if job.name.trim().is_empty() {
        return Err("has an empty name: write one".to_string());
    }
    if job.name.len() > LONGEST {
        return Err(format!(
            "its name is longer than {LONGEST} bytes: write a shorter one"
        ));
    }
    if job.filenames.is_empty() && (job.name.contains('/') || job.name.starts_with('.')) {
        return Err("its name would be that of its file: write one without / and without a dot first, or write filename".to_string());
    }
    if job.directories.len() > 1 && !job.filenames.is_empty() {
        return Err("several directories together with filename: write one directory, or leave filename out".to_string());
    }
    Ok(())
}

fn blocks(job: &Job) -> Result<(), String> {
    let files = if job.filenames.is_empty() {
        u64::from(job.files)
    } else {
        job.filenames.len() as u64
    };
    for (index, (size, what)) in job.block_size.iter().zip(["reads", "writes"]).enumerate() {
        let done = match job.access {
            Access::Read => index == 0,
            Access::Write => index == 1,
            Access::Mixed => true,
        };
        if !done {
            continue;
        }
        if size.smallest() == 0 {
            return Err(format!("a block size of 0 for {what}: write bs=4k"));
        }
        let mut all = match size {
            BlockSize::Fixed(size) | BlockSize::Range(size, _) => vec![*size],
            BlockSize::Split(sizes) => sizes.iter().map(|(size, _)| *size).collect(),
        };
        all.extend(job.block_align);
        if let Some(size) = all.iter().find(|size| job.direct && *size % SECTOR != 0) {
            return Err(format!(
                "direct=1 with a block size or alignment of {size}: write a multiple of {SECTOR}"
            ));
        }
        if let Some(Size::Bytes(whole)) = job.size
            && size.largest() > whole / files
        {
            return Err(format!(
                "blocks of {} for {what} are larger than a file of {}: write a smaller bs, or a larger size",
                size.largest(),
                whole / files
            ));
        }
        if size.largest().saturating_mul(u64::from(job.depth)) > MOST_BUFFERS {
            return Err(format!(
                "iodepth={} with blocks of {} needs buffers of more than {} GiB for each thread: write smaller ones",
                job.depth,
                size.largest(),
                MOST_BUFFERS >> 30
            ));
        }
    }
    for (offset, name) in [
        (job.offset, "offset"),
        (job.offset_increment, "offset_increment"),
    ] {
        if let (true, Size::Bytes(bytes)) = (job.direct, offset)
            && bytes % SECTOR != 0
        {
            return Err(format!(
                "direct=1 with {name}={bytes}: write a multiple of {SECTOR}"
            ));
        }
    }
    Ok(())
}

/// A block is checked as it was written last, so none may lie over a part of another.
fn verify(job: &Job) -> Result<(), String> {
    let [_, writes] = &job.block_size;
    match job.access {
        _ if job.verify.is_none() => Ok(()),
        Access::Read => Ok(()),
        Access::Mixed => Err(
            "verify with a mixed rw, which is not read back: write one section that writes, and one that reads"
                .to_string(),
        ),
        Access::Write if writes.smallest() != writes.largest() => Err(
            "verify with blocks of several sizes, which lie over each other: write one bs"
                .to_string(),
        ),
        Access::Write if job.block_align.is_some_and(|ba| ba % writes.largest() != 0) => Err(
            "verify with ba, by which blocks lie over each other: leave ba out".to_string(),
        ),
        Access::Write => Ok(()),
    }
}

fn queue(job: &Job) -> Result<(), String> {
    let depth = job.depth;
    if depth > DEEPEST {
        return Err(format!(
            "iodepth={depth}: a queue has at most {DEEPEST} entries"
        ));
    }
    if job.batch_complete_min > depth {
        return Err(format!(
            "iodepth_batch_complete_min={} is more than iodepth={depth}: it would wait for ever",
            job.batch_complete_min
        ));
    }
    if let Some(most) = job.batch_complete_max
        && most < job.batch_complete_min
    {
        return Err(format!(
            "iodepth_batch_complete_max={most} is less than iodepth_batch_complete_min={}",
            job.batch_complete_min
        ));
    }
    if let Some(low) = job.depth_low
        && low > depth
    {
        return Err(format!("iodepth_low={low} is more than iodepth={depth}"));
    }
    if job.engine == Engine::Psync {
        if depth > 1 {
            return Err(format!(
                "iodepth={depth} with ioengine=psync, which does one request at a time: write ioengine=io_uring"
            ));
        }
        let uring = [
            (job.register_files == Some(true), "registerfiles"),
            (job.fixed_buffers == Some(true), "fixedbufs"),
            (job.polled, "hipri"),
            (job.submission_thread, "sqthread_poll"),
        ];
        if let Some((_, name)) = uring.iter().find(|(on, _)| *on) {
            return Err(format!(
                "{name} with ioengine=psync: write ioengine=io_uring"
            ));
        }
    }
    if job.polled && !job.direct {
        return Err(
            "hipri without direct=1: completions through the page cache cannot be polled for"
                .to_string(),
        );
    }
    if job.submission_cpu.is_some() && !job.submission_thread {
        return Err("sqthread_poll_cpu without sqthread_poll: write both".to_string());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Order, Verify, testing};

    #[test]
    fn what_is_verified_is_written_in_blocks_of_one_size() {
        let verified = |access| Job {
            verify: Some(Verify {
                fatal: false,
                read_back: true,
            }),
            ..testing::job(access, Order::Random, 4096)
        };
        let write = verified(Access::Write);
        assert_eq!(job(&write), Ok(()));
        assert_eq!(job(&verified(Access::Read)), Ok(()));
        let refused = |one: Job| job(&one).unwrap_err();
        assert!(refused(verified(Access::Mixed)).contains("mixed"));
        let range = BlockSize::Range(4096, 8192);
        let several = Job {
            block_size: [range.clone(), range],
            ..write.clone()
        };
        assert!(refused(several).contains("several sizes"));
        let aligned = |ba| Job {
            block_align: Some(ba),
            ..write.clone()
        };
        assert!(refused(aligned(512)).contains("ba"));
        assert_eq!(job(&aligned(8192)), Ok(()));
    }
}
