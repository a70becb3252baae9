//! A job of which nothing is written: fio's defaults, but that its files go.

use std::time::Duration;

use crate::job::{
    Access, BlockSize, Buffers, Distribution, Engine, Fallocate, Job, Order, Random, Size,
};

/// fio's `percentile_list`.
const PERCENTILES: [f64; 17] = [
    1.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.95,
    99.99,
];

pub(super) fn job(name: &str) -> Job {
    Job {
        name: name.to_string(),
        description: String::new(),
        options: Vec::new(),
        numjobs: 1,
        stonewall: false,
        new_group: false,
        group_reporting: false,
        filenames: Vec::new(),
        directories: Vec::new(),
        files: 1,
        size: None,
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
            seed: 0,
            distribution: Distribution::Uniform,
            percentage: [100; 2],
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
        rate: [None; 2],
        rate_iops: [None; 2],
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
        percentiles: PERCENTILES.to_vec(),
    }
}
