//! What there is in the stead of fio's options and values that are not here.

const LOGS: &str = "write --report=FILE.html or --output-format=json+: they have all latencies, and IOPS and bandwidth over time";
const REPLAY: &str = "write rw, bs, rate_iops and thinktime: recorded I/O is not played back";
const ZONES: &str = "write size and offset: zones are not supported";
const CLIENTS: &str = "run it on each machine: there are no clients and servers";
const STEADY: &str = "write runtime and ramp_time";
const QUEUE: &str = "write rate_iops for a fixed load, or several sections with other iodepth";
const NUMA: &str = "write cpus_allowed, or start it with numactl";
const PRIORITY: &str = "write nice, or start it with ionice";
const TRIM: &str = "leave it out: nothing is trimmed; `instore wipe` gives a disk up";
const TRIGGER: &str = "leave it out: programs are not started by a job";
const DEBUG: &str = "write --parse-only or --showcmd";

/// Options of fio that are not here, and what there is in their stead.
#[rustfmt::skip] // a table
pub(super) const OPTIONS: &[(&[&str], &str)] = &[
    (&["write_bw_log", "write_lat_log", "write_iops_log", "write_hist_log", "log_avg_msec", "log_hist_msec", "bandwidth-log"], LOGS),
    (&["log_entries", "log_hist_coarseness", "log_max_value", "log_offset", "log_prio", "log_compression"], LOGS),
    (&["log_compression_cpus", "log_store_compressed", "log_unix_epoch", "log_alternate_epoch"], LOGS),
    (&["log_alternate_epoch_clock_id", "inflate-log", "block_error_percentiles"], LOGS),
    (&["read_iolog", "write_iolog", "read_iolog_chunked", "replay_no_stall", "replay_redirect", "replay_scale"], REPLAY),
    (&["replay_align", "replay_time_scale", "replay_skip", "merge_blktrace_file", "merge_blktrace_scalars"], REPLAY),
    (&["merge_blktrace_iters", "merge-blktrace-only"], REPLAY),
    (&["zonesize", "zonecapacity", "zonerange", "zoneskip", "read_beyond_wp", "max_open_zones", "job_max_open_zones"], ZONES),
    (&["ignore_zone_limits", "zone_reset_threshold", "zone_reset_frequency"], ZONES),
    (&["client", "server", "daemonize", "remote-config"], CLIENTS),
    (&["steadystate", "ss", "steadystate_duration", "ss_dur", "steadystate_ramp_time", "ss_ramp"], STEADY),
    (&["latency_target", "latency_window", "latency_percentile", "latency_run", "max_latency"], QUEUE),
    (&["flow", "flow_id", "flow_sleep", "rate_min", "ratemin", "rate_iops_min", "rate_cycle", "ratecycle"], "write rate or rate_iops"),
    (&["rate_ignore_thinktime", "thinktime_iotime"], "write rate or thinktime, one of them"),
    (&["numa_cpu_nodes", "numa_mem_policy"], NUMA),
    (&["prio", "prioclass", "cmdprio", "cmdprio_percentage", "cmdprio_class", "cmdprio_bssplit"], PRIORITY),
    (&["trim_verify_zero", "trim_backlog", "trim_backlog_batch", "unmap"], TRIM),
    (&["exec_prerun", "exec_postrun", "trigger", "trigger-file", "trigger-timeout", "trigger-remote"], TRIGGER),
    (&["debug", "cpuclock-test", "crctest", "enghelp", "idle-prof", "profile"], DEBUG),
    (&["ioscheduler"], "leave it out: set the scheduler in /sys/block/DISK/queue/scheduler"),
    (&["include"], "write the options of that file into the section"),
    (&["append-terse"], "write --output-format=normal,terse"),
    (&["eta-newline", "eta-interval"], "write --status-interval"),
    (&["max-jobs", "alloc-size"], "leave it out: memory is taken as it is needed"),
    (&["aux-path"], "leave it out: nothing but the targets is written"),
    (&["sync_file_range"], "write fsync or fdatasync"),
    (&["fadvise_hint"], "leave it out, or write direct=1: the kernel is not advised"),
    (&["write_hint"], "leave it out: the kernel is not told how long data lives"),
    (&["random_generator"], "leave it out: one generator with a 64-bit state is used for everything"),
    (&["buffer_pattern", "verify_pattern"], "write zero_buffers or buffer_compress_percentage"),
    (&["dedupe_mode", "dedupe_working_set_percentage", "dedupe_global"], "write buffer_compress_percentage"),
    (&["verify_interval", "verify_offset", "verify_backlog_batch"], "write verify=crc32c: each block has its checksum"),
    (&["verify_state_load", "verify_state_save"], "write do_verify=1: what was written is read back in the same run"),
    (&["filename_format"], "write filename, or directory and the name of the job"),
    (&["opendir"], "write filename with colons between the files"),
    (&["openfiles"], "write nrfiles: all of them are open"),
    (&["wait_for"], "write stonewall: it waits for all jobs before it"),
    (&["exit_what"], "write runtime in each section"),
    (&["ignore_error"], "leave it out: the first error ends a job"),
    (&["cgroup", "cgroup_weight", "cgroup_nodelete"], "start it with systemd-run --slice"),
    (&["uid", "gid"], "start it as that user"),
    (&["hugepage-size"], "leave it out: buffers are plain memory"),
    (&["gtod_cpu"], "leave it out: the clock is read once for each batch anyway"),
    (&["nonvectored", "cmd_type"], "leave it out"),
    (&["userspace_reap"], "write ioengine=io_uring"),
    (&["nrjobs", "num_jobs", "jobs", "threads", "nthreads"], "write numjobs"),
    (&["qd", "queue_depth", "queuedepth", "io_depth"], "write iodepth"),
    (&["engine", "io_engine"], "write ioengine"),
    (&["block_size", "block-size", "blksize"], "write bs"),
    (&["time", "duration"], "write runtime"),
    (&["file", "device", "target"], "write filename"),
    (&["version"], "write `instore --version`"),
];

const RING: &str = "write ioengine=io_uring";
const SYNCHRONOUS: &str = "write ioengine=psync";

/// Values of fio that are not here: option, values, what to write.
#[rustfmt::skip] // a table
pub(super) const VALUES: &[(&str, &[&str], &str)] = &[
    ("ioengine", &["libaio", "posixaio", "windowsaio", "solarisaio", "io_uring_cmd", "xnvme"], RING),
    ("ioengine", &["sync", "vsync", "pvsync", "pvsync2"], SYNCHRONOUS),
    ("ioengine", &["mmap", "splice", "sg", "null", "libpmem", "dev-dax", "pmemblk"], "write ioengine=psync or ioengine=io_uring"),
    ("rw", &["trim", "randtrim", "trimwrite", "randtrimwrite"], "write rw=write or rw=randwrite: nothing is trimmed"),
    ("rw", &["readwrite,trim", "mixed"], "write rw=rw or rw=randrw"),
    ("verify", &["md5", "crc64", "crc32", "crc16", "crc7", "sha1", "sha256", "sha512", "sha3-224", "sha3-256", "sha3-384", "sha3-512", "xxhash", "meta", "pattern", "null", "1"], "write verify=crc32c"),
    ("random_distribution", &["zoned", "zoned_abs"], "write random_distribution=zipf:1.2, or a section for each zone with offset and size"),
    ("output-format", &["csv"], "write --output-format=terse"),
    ("output-format", &["html"], "write --report=FILE.html"),
];
