use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::job::{Access, BlockSize, Distribution, Engine, Job, Order, Size};

fn read(arguments: &[&str]) -> Result<Parsed, Error> {
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    command_line(&arguments, &|_| None)
}

fn jobs(arguments: &[&str]) -> Vec<Job> {
    read(arguments)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
        .run
        .jobs
}

fn refused(arguments: &[&str]) -> String {
    match read(arguments) {
        Ok(parsed) => panic!("{arguments:?} is {:?}", parsed.run.jobs),
        Err(error) => error.to_string(),
    }
}

/// Of a job file in a directory that goes.
fn file(content: &[u8]) -> Result<Parsed, Error> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("job.fio");
    std::fs::write(&path, content).unwrap();
    let variables = |name: &str| match name {
        "SIZE" => Some("64m".to_string()),
        _ => None,
    };
    command_line(&[path.into_os_string()], &variables)
}

#[test]
fn the_command_line_of_the_manual() {
    let parsed = read(&[
        "--name=t",
        "--rw=randread",
        "--bs=4k",
        "--iodepth=32",
        "--numjobs=4",
        "--size=1g",
        "--runtime=30",
        "--time_based",
        "--direct=1",
        "--ioengine=io_uring",
        "--group_reporting",
        "--output-format=json",
    ])
    .unwrap();
    assert_eq!(parsed.action, Action::Run);
    assert_eq!(parsed.run.output.formats, [crate::job::Format::Json]);
    let [job] = parsed.run.jobs.as_slice() else {
        panic!("{parsed:?}");
    };
    assert_eq!((job.access, job.order), (Access::Read, Order::Random));
    assert_eq!(job.block_size[0], BlockSize::Fixed(4096));
    assert_eq!((job.depth, job.numjobs, job.engine), (32, 4, Engine::Uring));
    assert_eq!(job.size, Some(Size::Bytes(1 << 30)));
    assert_eq!(job.runtime, Some(Duration::from_secs(30)));
    assert!(job.time_based && job.direct && job.group_reporting);
    assert_eq!(job.options[0], ("name".to_string(), "t".to_string()));
}

#[test]
fn defaults_are_those_of_fio_but_files_go() {
    let job = jobs(&["--name=a"]).remove(0);
    assert_eq!(job.engine, Engine::Psync);
    assert_eq!((job.access, job.order), (Access::Read, Order::Sequential));
    assert_eq!(
        (job.depth, job.batch_complete_min, job.numjobs, job.loops),
        (1, 1, 1, 1)
    );
    assert_eq!(
        job.block_size,
        [BlockSize::Fixed(4096), BlockSize::Fixed(4096)]
    );
    assert!(!job.direct && job.invalidate && job.random.map && job.unlink);
    assert_eq!(job.percentiles.len(), 17);
    assert_eq!(job.read_percent, 50);
}

#[test]
fn files_have_globals_sections_comments_and_variables() {
    let parsed = file(
        b"; c\n[global]\nrw=randread\nsize=${SIZE}\n[a]\nbs=8k ; c\n[global]\nbs=16k\n# c\n[b]\nstonewall\nsize=1${UNSET}g\n",
    )
    .unwrap();
    let [a, b] = parsed.run.jobs.as_slice() else {
        panic!("{parsed:?}");
    };
    assert_eq!(
        (a.size, &a.block_size[0]),
        (Some(Size::Bytes(64 << 20)), &BlockSize::Fixed(8192))
    );
    assert_eq!(
        (b.size, &b.block_size[0]),
        (Some(Size::Bytes(1 << 30)), &BlockSize::Fixed(16384))
    );
    assert!(!a.stonewall && b.stonewall);
    assert_eq!(a.order, Order::Random);
    let names: Vec<&str> = parsed
        .run
        .global
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["rw", "size", "bs"]);
    assert_eq!(a.options, [("bs".to_string(), "8k".to_string())]);
}

#[test]
fn errors_say_line_option_and_what_to_do() {
    let said = file(b"[a]\n\nwrite_bw_log=x\n").unwrap_err().to_string();
    assert!(
        said.contains("job.fio:3: option write_bw_log is not supported"),
        "{said}"
    );
    assert!(said.contains("--report"), "{said}");
    let said = file(b"[a]\nioengine=libaio\n").unwrap_err().to_string();
    assert!(
        said.contains("job.fio:2: option ioengine") && said.contains("io_uring"),
        "{said}"
    );
    let said = refused(&["--name=a", "--bs=4x"]);
    assert!(said.starts_with("argument --bs=4x: option bs:"), "{said}");
    let said = file(b"[a]\nsize=1m\n[b]\ntime_based\n")
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("job.fio:3: job b: time_based without runtime"),
        "{said}"
    );
}

#[test]
fn what_does_not_go_together_is_refused() {
    let cases: &[(&[&str], &str)] = &[
        (&["--time_based"], "runtime"),
        (&["--bs=2m", "--size=1m"], "larger"),
        (&["--direct=1", "--bs=700"], "512"),
        (&["--direct=1", "--offset=100"], "512"),
        (
            &[
                "--ioengine=io_uring",
                "--iodepth=2",
                "--iodepth_batch_complete_min=4",
            ],
            "iodepth=2",
        ),
        (
            &["--ioengine=io_uring", "--iodepth=2", "--iodepth_low=4"],
            "iodepth=2",
        ),
        (&["--iodepth=32"], "io_uring"),
        (&["--hipri"], "io_uring"),
        (&["--ioengine=io_uring", "--hipri"], "direct=1"),
        (
            &["--ioengine=io_uring", "--sqthread_poll_cpu=1"],
            "sqthread_poll",
        ),
        (&["--rwmixread=101"], "100"),
        (&["--rate=1m", "--rate_iops=5"], "one of them"),
        (&["--bs=0"], "block size of 0"),
        (&["--numjobs=4294967295"], "1024"),
        (&["--numjobs=0"], "1 or more"),
        (
            &["--ioengine=io_uring", "--iodepth=32768", "--bs=1m"],
            "GiB",
        ),
        (&["--ioengine=io_uring", "--iodepth=4294967295"], "32768"),
        (&["--bssplit=4k/60:8k/60"], "120 %"),
        (&["--random_distribution=zipf:1"], "not 1"),
        (&["--percentile_list=0"], "above 0"),
        (&["--percentile_list=101"], "at most 100"),
        (&["--cpus_allowed=3-1"], "0,2-5"),
        (&["--nice=20"], "19"),
        (&["--filename=a::b"], "empty name"),
        (&["--filename=-"], "not supported"),
        (&["--loops=0"], "1 or more"),
        (&["--name=a/b"], "without /"),
        (&["--gtod_reduce=1"], "leave it out"),
        (&["--exitall"], "runtime"),
    ];
    for (arguments, reason) in cases {
        let arguments = [&["--name=a"], *arguments].concat();
        let said = refused(&arguments);
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
}

#[test]
fn what_has_one_value_here_is_accepted_with_it() {
    jobs(&[
        "--name=a",
        "--gtod_reduce=0",
        "--sync=0",
        "--continue_on_error=none",
        "--thread",
        "--disk_util=1",
    ]);
}

#[test]
fn lists_are_resolved_as_fio_does() {
    let job = |arguments: &[&str]| jobs(&[&["--name=a"], arguments].concat()).remove(0);
    let split = |text: &str| job(&["--bssplit", text]).block_size;
    assert_eq!(
        split("4k/50:8k/")[0],
        BlockSize::Split(vec![(4096, 50), (8192, 50)])
    );
    assert_eq!(
        split("4k:8k:16k")[1],
        BlockSize::Split(vec![(4096, 33), (8192, 33), (16384, 34)])
    );
    // the last one has what is missing
    assert_eq!(
        split("4k/30:8k/30")[0],
        BlockSize::Split(vec![(4096, 30), (8192, 70)])
    );
    let two = split("4k/100,64k/100");
    assert_eq!(
        two,
        [
            BlockSize::Split(vec![(4096, 100)]),
            BlockSize::Split(vec![(65536, 100)])
        ]
    );
    // a range wins over a size, wherever it is written
    let both = job(&["--bsrange=16k-4k,", "--bs=8k"]).block_size;
    assert_eq!(
        both,
        [BlockSize::Range(4096, 16384), BlockSize::Fixed(8192)]
    );
    assert_eq!(job(&["--bs=8k,"]).block_size[1], BlockSize::Fixed(4096));
    assert_eq!(job(&["--rwmixread=70", "--rwmixwrite=80"]).read_percent, 20);
    assert_eq!(job(&["--rate=1m,"]).rate, [Some(1 << 20), None]);
    assert_eq!(job(&["--rate_iops=0"]).rate_iops, [None, None]);
    assert_eq!(job(&["--cpus_allowed=0,2-4,3"]).cpus, [0, 2, 3, 4]);
    assert_eq!(job(&["--cpumask=5"]).cpus, [0, 2]);
    assert_eq!(
        job(&["--percentile_list=99.9:50:99"]).percentiles,
        [50.0, 99.0, 99.9]
    );
    assert_eq!(
        job(&["--filename=/a\\:b:/c"]).filenames,
        [Path::new("/a:b"), Path::new("/c")]
    );
    let zipf = job(&["--random_distribution=zipf"]).random;
    assert_eq!(
        (zipf.distribution, zipf.map),
        (Distribution::Zipf(1.1), false)
    );
    assert_eq!(
        job(&["--filesize=1m", "--nrfiles=4"]).size,
        Some(Size::Bytes(4 << 20))
    );
    assert_eq!(
        job(&["--ioengine=io_uring", "--iodepth=4", "--iodepth_batch=16"]).batch_submit,
        Some(4)
    );
}

#[test]
fn seeds_are_the_same_in_each_run_unless_asked_otherwise() {
    let seeds = |arguments: &[&str]| -> Vec<u64> {
        jobs(arguments).iter().map(|job| job.random.seed).collect()
    };
    let two = ["--name=a", "--numjobs=2", "--name=b"];
    assert_eq!(seeds(&two), seeds(&two));
    assert_ne!(seeds(&two)[0], seeds(&two)[1]);
    assert_eq!(seeds(&["--name=a", "--randseed=42"]), [42]);
    assert_ne!(
        seeds(&["--randrepeat=0", "--name=a"]),
        seeds(&["--randrepeat=0", "--name=a"])
    );
}

#[test]
fn hostile_files_are_refused_and_do_not_grow() {
    let longest = usize::try_from(file::LONGEST_FILE).unwrap();
    for (content, said) in [
        (b"[a]\0\n".to_vec(), "character"),
        (b"[a\n".to_vec(), "not closed"),
        (b"[]\n".to_vec(), "no section"),
        (b"[a] b\n".to_vec(), "no section"),
        (b"[Global]\n".to_vec(), "too like global"),
        (b"[globals]\n".to_vec(), "too like global"),
        (b"[..]\n".to_vec(), "its file"),
        (b"[a\x1b[2J]\n".to_vec(), "character"),
        (b"bs=4k\n".to_vec(), "before any section"),
        (b"[a]\nbs=\xff\n".to_vec(), "UTF-8"),
        (b"[a]\nfilename=${X\n".to_vec(), "not closed"),
        (b"[a]\nfilename=${X}\n".to_vec(), "no value"),
        (b"[a]\nbs = 4k\n".to_vec(), "blank"),
        (b"[a]\n--bs=4k\n".to_vec(), "without dashes"),
        (b"[a]\noutput=x\n".to_vec(), "command line"),
        (b"[global]\nbs=4k\n".to_vec(), "no job"),
        (Vec::new(), "no job"),
        (vec![b'x'; longest + 1], "cannot read"),
        ("[a]\nnumjobs=1024\n".repeat(5).into_bytes(), "4096 threads"),
    ] {
        let error = file(&content).expect_err(said).to_string();
        assert!(error.contains(said), "{error}");
        assert!(error.len() < 1000, "{error}");
    }
    let many: String = (0..4000).map(|number| format!("[job{number}]\n")).collect();
    assert_eq!(file(many.as_bytes()).unwrap().run.jobs.len(), 4000);
}

#[test]
fn several_files_wait_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).into_os_string();
    std::fs::write(path("a"), "[global]\nbs=8k\n[a]\n[b]\n").unwrap();
    std::fs::write(path("b"), "[c]\n[d]\n").unwrap();
    let parsed = command_line(&[path("a"), path("b")], &|_| None).unwrap();
    let stonewalls: Vec<bool> = parsed.run.jobs.iter().map(|job| job.stonewall).collect();
    assert_eq!(stonewalls, [false, false, true, false]);
    assert_eq!(
        parsed.run.jobs[2].block_size[0],
        BlockSize::Fixed(4096),
        "defaults end with their file"
    );
    let error = command_line(&["--bs=1k".into(), path("a"), path("b")], &|_| None).unwrap_err();
    assert!(error.to_string().contains("several job files"), "{error}");
    let error = command_line(&["--section=x".into(), path("a")], &|_| None).unwrap_err();
    assert!(error.to_string().contains("there are a, b"), "{error}");
    let parsed = command_line(
        &["--section=b".into(), "--bs=1k".into(), path("a")],
        &|_| None,
    )
    .unwrap();
    assert_eq!(parsed.run.jobs.len(), 1);
    assert_eq!(
        parsed.run.jobs[0].block_size[0],
        BlockSize::Fixed(8192),
        "the file comes after the command line"
    );
}

#[test]
fn every_option_of_the_table_is_handled() {
    for option in options()
        .iter()
        .filter(|option| option.chapter != Chapter::CommandLine)
    {
        let value = match option.kind {
            Kind::Fixed(values) | Kind::Word(values) => values[0],
            Kind::Text
            | Kind::Flag
            | Kind::Bool
            | Kind::Percent
            | Kind::Seconds
            | Kind::Microseconds => "1",
            Kind::Number | Kind::Size | Kind::Pair => "1",
            Kind::List => continue,
        };
        let said = read(&["--name=a", &format!("--{}={value}", option.name)])
            .map_err(|error| error.to_string());
        assert!(
            !said
                .as_ref()
                .is_err_and(|said| said.contains("did you mean") || said.contains("is called")),
            "{said:?}"
        );
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(content in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = file(&content);
    }

    #[test]
    fn no_value_of_any_option_makes_it_panic(
        which in any::<prop::sample::Index>(),
        value in "[-0-9a-z.,:/%$*{} ]{0,24}|\\PC{0,12}",
    ) {
        let option = which.get(options());
        if !["cmdhelp", "help"].contains(&option.name) {
            if let Err(error) = read(&["--name=a", &format!("--{}={value}", option.name)]) {
                prop_assert!(!error.to_string().contains('\n'));
            }
            let _ = file(format!("[a]\n{}={value}\n", option.name).as_bytes());
        }
    }
}
