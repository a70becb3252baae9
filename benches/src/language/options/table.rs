//! The options that do something. Names and defaults are fio's, but for `unlink`.

use super::Kind::{
    Bool, Flag, List, Microseconds, Number, Pair, Percent, Seconds, Size, Text, Word,
};
use super::{Chapter, Kind, OptionInfo};

const fn option(
    chapter: Chapter,
    name: &'static str,
    aliases: &'static [&'static str],
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> OptionInfo {
    OptionInfo {
        name,
        aliases,
        chapter,
        kind,
        default,
        help,
    }
}

/// Of the command line only.
#[rustfmt::skip] // a table: one option, one line
pub(super) const COMMAND_LINE: &[OptionInfo] = &{
    use Chapter::CommandLine as S;
    [
        option(S, "output", &[], Text, "", "file for the results, in place of standard output"),
        option(S, "output-format", &[], List, "normal", "normal, json, json+, terse; several with commas"),
        option(S, "minimal", &[], Flag, "0", "the same as output-format=terse"),
        option(S, "report", &[], Text, "", "file for a page of HTML with the results drawn"),
        option(S, "eta", &[], Word(&["auto", "always", "never"]), "auto", "whether a live line is shown; auto is on a terminal"),
        option(S, "status-interval", &[], Seconds, "", "results so far, that often"),
        option(S, "section", &[], Text, "", "only this section of a job file; may be given several times"),
        option(S, "destructive", &[], Flag, "0", "a named device that is empty may be written over"),
        option(S, "readonly", &[], Flag, "0", "refuse jobs that write"),
        option(S, "showcmd", &[], Flag, "0", "print the jobs as a command line, and end"),
        option(S, "parse-only", &[], Flag, "0", "read everything, and end"),
        option(S, "cmdhelp", &[], Text, "all", "what an option means, or all of them"),
        option(S, "warnings-fatal", &[], Flag, "1", "accepted: what fio warns of is refused here"),
        option(S, "help", &[], Flag, "0", "how to write it"),
    ]
};

/// Of jobs.
#[rustfmt::skip] // a table: one option, one line
pub(super) const JOB: &[OptionInfo] = &{
    use Chapter as S;
    const BINARY: Kind = Word(&["1024", "1000"]);
    [
        option(S::Description, "name", &[], Text, "", "name of the job; on the command line it begins one"),
        option(S::Description, "description", &[], Text, "", "text that is shown with the results"),
        option(S::Description, "numjobs", &[], Number, "1", "threads that do the same"),
        option(S::Description, "stonewall", &["wait_for_previous"], Flag, "0", "begin when all jobs before it have ended"),
        option(S::Description, "thread", &[], Flag, "0", "accepted: a job is always threads of one process"),
        option(S::Target, "filename", &[], Text, "", "files or devices, with colons between them"),
        option(S::Target, "directory", &[], Text, "", "where files are made, with colons between several"),
        option(S::Target, "nrfiles", &["nr_files"], Number, "1", "files of each thread, without filename"),
        option(S::Target, "size", &[], Size, "", "of all files of a thread together"),
        option(S::Target, "filesize", &[], Number, "", "of each file, in place of size"),
        option(S::Target, "offset", &["fileoffset"], Size, "0", "where the region begins"),
        option(S::Target, "offset_increment", &[], Size, "0", "added to the offset for each further thread"),
        option(S::Target, "unlink", &[], Bool, "1", "remove files that were made for it (fio: 0)"),
        option(S::Target, "fallocate", &[], Word(&["none", "native", "posix", "keep", "truncate", "0", "1"]), "native", "how space of a new file is set aside"),
        option(S::Target, "invalidate", &[], Bool, "1", "drop the page cache of a file before a buffered job"),
        option(S::Pattern, "rw", &["readwrite"], Word(&["read", "write", "randread", "randwrite", "rw", "readwrite", "randrw"]), "read", "what is done, and in which order"),
        option(S::Pattern, "rwmixread", &[], Percent, "50", "share of reads in a mixed job"),
        option(S::Pattern, "rwmixwrite", &[], Percent, "50", "share of writes in a mixed job"),
        option(S::Pattern, "norandommap", &[], Flag, "0", "blocks may be visited again before all were visited"),
        option(S::Pattern, "randseed", &[], Number, "", "seed of all random choices"),
        option(S::Pattern, "randrepeat", &[], Bool, "1", "the same offsets in each run"),
        option(S::Pattern, "allrandrepeat", &[], Bool, "0", "the same random choices in each run"),
        option(S::Pattern, "random_distribution", &[], List, "random", "random, zipf:THETA, pareto:H or normal:DEVIATION"),
        option(S::Pattern, "percentage_random", &[], Pair, "100", "share of a random job that is random"),
        option(S::Blocks, "bs", &["blocksize"], Pair, "4096", "block size"),
        option(S::Blocks, "bsrange", &["blocksize_range"], List, "", "smallest and largest block size, as in 4k-16k"),
        option(S::Blocks, "bssplit", &[], List, "", "block sizes and their shares, as in 4k/60:64k/40"),
        option(S::Blocks, "ba", &["blockalign"], Number, "", "alignment of random offsets; the smallest block size without it"),
        option(S::Engine, "ioengine", &[], Word(&["io_uring", "psync"]), "psync", "how the kernel is asked"),
        option(S::Engine, "iodepth", &[], Number, "1", "requests in flight"),
        option(S::Engine, "iodepth_batch", &["iodepth_batch_submit"], Number, "", "requests submitted at once; 0 is as many as there are"),
        option(S::Engine, "iodepth_batch_complete_min", &["iodepth_batch_complete"], Number, "1", "completions waited for at once; 0 only polls"),
        option(S::Engine, "iodepth_batch_complete_max", &[], Number, "", "completions taken at once"),
        option(S::Engine, "iodepth_low", &[], Number, "", "a full queue is filled again from here"),
        option(S::Engine, "direct", &[], Bool, "0", "past the page cache (O_DIRECT)"),
        option(S::Engine, "buffered", &[], Bool, "1", "through the page cache; the opposite of direct"),
        option(S::Engine, "registerfiles", &[], Flag, "", "register files with io_uring; it does where it can, unless 0"),
        option(S::Engine, "fixedbufs", &[], Flag, "", "register buffers with io_uring; it does where it can, unless 0"),
        option(S::Engine, "hipri", &[], Flag, "0", "poll for completions (io_uring, direct)"),
        option(S::Engine, "sqthread_poll", &[], Flag, "0", "a kernel thread takes submissions (io_uring)"),
        option(S::Engine, "sqthread_poll_cpu", &[], Number, "", "where that thread runs"),
        option(S::Time, "runtime", &["timeout"], Seconds, "0", "end after that long; 0 is when all is done"),
        option(S::Time, "time_based", &[], Flag, "0", "go on until the runtime is over"),
        option(S::Time, "ramp_time", &[], Seconds, "0", "not measured, before the runtime"),
        option(S::Time, "startdelay", &[], Seconds, "0", "wait before it begins"),
        option(S::Time, "loops", &[], Number, "1", "how often all is done"),
        option(S::Time, "io_size", &["io_limit"], Size, "", "how much is transferred; the size without it"),
        option(S::Sync, "fsync", &[], Number, "0", "fsync after so many writes; 0 is never"),
        option(S::Sync, "fdatasync", &[], Number, "0", "fdatasync after so many writes; 0 is never"),
        option(S::Sync, "end_fsync", &[], Bool, "0", "fsync when all is written"),
        option(S::Rate, "rate", &[], Pair, "", "bytes in a second, at most"),
        option(S::Rate, "rate_iops", &[], Pair, "", "requests in a second, at most"),
        option(S::Rate, "thinktime", &[], Microseconds, "0", "a pause after thinktime_blocks requests"),
        option(S::Rate, "thinktime_blocks", &[], Number, "1", "requests between two pauses"),
        option(S::Cpu, "cpus_allowed", &[], List, "", "processors it may run on, as in 0,2-5"),
        option(S::Cpu, "cpumask", &[], Number, "", "the same, as bits"),
        option(S::Cpu, "cpus_allowed_policy", &[], Word(&["shared", "split"]), "shared", "split: each thread has one of them alone"),
        option(S::Cpu, "nice", &[], Number, "0", "priority of its threads, -20 to 19"),
        option(S::Buffers, "refill_buffers", &[], Flag, "0", "new data for each write"),
        option(S::Buffers, "zero_buffers", &[], Flag, "0", "write zeros"),
        option(S::Buffers, "buffer_compress_percentage", &[], Percent, "0", "how far the data can be compressed"),
        option(S::Verify, "verify", &[], Word(&["crc32c", "crc32c-intel", "0"]), "0", "a checksum in each block that is written"),
        option(S::Verify, "verify_fatal", &[], Bool, "0", "end at the first bad block"),
        option(S::Verify, "do_verify", &[], Bool, "1", "read back what was written"),
        option(S::Reporting, "group_reporting", &[], Flag, "0", "report all jobs of a group as one"),
        option(S::Reporting, "new_group", &[], Flag, "0", "begin a new group"),
        option(S::Reporting, "percentile_list", &[], List, "1:5:10:20:30:40:50:60:70:80:90:95:99:99.5:99.9:99.95:99.99", "percentiles of latencies, at most 20"),
        option(S::Units, "kb_base", &[], BINARY, "1024", "what k is; kib is the other one"),
    ]
};
