//! Jobs to change for a test.

use std::time::Duration;

use crate::job::{
    Access, BlockSize, Buffers, Distribution, Engine, Eta, Fallocate, Format, Job, Order, Output,
    Random, Run, Size,
};

/// A buffered sequential read of 1 MiB.
pub(crate) fn job(name: &str) -> Job {
    Job {
        name: name.into(),
        description: String::new(),
        options: Vec::new(),
        numjobs: 1,
        stonewall: false,
        new_group: false,
        group_reporting: false,
        filenames: Vec::new(),
        directories: Vec::new(),
        files: 1,
        size: Some(Size::Bytes(1 << 20)),
        io_size: None,
        offset: Size::Bytes(0),
        offset_increment: Size::Bytes(0),
        access: Access::Read,
        order: Order::Sequential,
        read_percent: 50,
        block_size: [BlockSize::Fixed(4096), BlockSize::Fixed(4096)],
        block_align: None,
        random: Random {
            map: true,
            seed: 1,
            distribution: Distribution::Uniform,
            percentage: [100, 100],
        },
        engine: Engine::Psync,
        depth: 1,
        batch_submit: None,
        batch_complete_min: 1,
        batch_complete_max: None,
        depth_low: None,
        direct: false,
        register_files: None,
        fixed_buffers: None,
        polled: false,
        submission_thread: false,
        submission_cpu: None,
        runtime: None,
        time_based: false,
        ramp_time: Duration::ZERO,
        start_delay: Duration::ZERO,
        loops: 1,
        fsync: 0,
        fdatasync: 0,
        end_fsync: false,
        rate: [None, None],
        rate_iops: [None, None],
        think_time: Duration::ZERO,
        think_blocks: 1,
        cpus: Vec::new(),
        split_cpus: false,
        nice: None,
        buffers: Buffers {
            refill: false,
            zero: false,
            compress_percent: 0,
        },
        verify: None,
        unlink: true,
        fallocate: Fallocate::Native,
        invalidate: true,
        percentiles: vec![50.0, 99.0],
    }
}

pub(crate) fn run(jobs: Vec<Job>) -> Run {
    Run {
        jobs,
        global: Vec::new(),
        output: Output {
            formats: vec![Format::Normal],
            file: None,
            report: None,
            eta: Eta::Never,
            status_interval: None,
            destructive: false,
        },
    }
}
