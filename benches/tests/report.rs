//! The report in a real browser, with names that try to be markup. Screenshots stay
//! in `target/report/`, to be looked at.
#![cfg(feature = "page-tests")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "report/sample.rs"]
mod sample;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use instore_bench::instance::{Detected, Measured, Origin, judge};
use instore_bench::report::{Page, Part, write_page};
use instore_bench::results::{Failure, Results};

const HOSTILE: &str = "</script><b onmouseover='alert(1)'>\"\u{202e}&amp;";

/// Runs Chromium on a file; what it printed, and what it complained of.
fn chromium(page: &Path, arguments: &[&str]) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let out = browser()
        .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-dev-shm-usage", "--hide-scrollbars"])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", home.path().display()))
        // No host is a host: a request would be an error on the console.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND")
        .args(["--enable-logging=stderr", "--v=0"])
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (printed, log) = (text(&out.stdout), text(&out.stderr));
    assert!(out.status.success(), "{log}");
    // What the policy of the page forbids is among it: a script that is not its own,
    // and whatever is asked of anybody.
    let complaints: Vec<&str> = log.lines().filter(|l| l.contains(":CONSOLE")).collect();
    assert_eq!(complaints, [""; 0], "{log}");
    (printed, log)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test starts a browser; the ban is for the product"
)]
fn browser() -> Command {
    Command::new("chromium")
}

fn hostile() -> Results {
    let mut results = sample::results(&["4k-randread", HOSTILE]);
    results.warnings = vec![
        "the CPU, not the disk, was the limit of 4k-randread".to_owned(),
        format!("the target {HOSTILE} is shared"),
    ];
    results.threads[1].description = HOSTILE.to_owned();
    results.threads[1].error = Some(Failure {
        errno: 28,
        text: "No space left on device".to_owned(),
    });
    results.threads[1].directions[1] = Default::default();
    results
}

/// Puts a page into a file.
fn written(page: &Page<'_>) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".html").tempfile().unwrap();
    write_page(page, file.as_file_mut()).unwrap();
    file
}

fn screenshots() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let mut above = executable.ancestors();
    let profile = above.find(|dir| dir.join(".fingerprint").is_dir());
    let place = profile.and_then(Path::parent).unwrap().join("report");
    std::fs::create_dir_all(&place).unwrap();
    place
}

#[test]
fn names_are_text_and_plots_are_drawn() {
    let results = hostile();
    let part = Part {
        name: "",
        results: &results,
    };
    let file = written(&Page {
        title: HOSTILE,
        parts: &[part],
        verdicts: &[],
    });
    let (page, _) = chromium(file.path(), &["--dump-dom"]);
    for words in [
        "4k-randread",
        "the CPU, not the disk, was the limit",
        "No space left on device (error 28)",
        "io_uring, registered files and buffers",
        "<code>iodepth=32</code>",
        "ended with an error",
        "99.99 %",
    ] {
        assert!(page.contains(words), "the page does not say {words:?}");
    }
    // Once as the title, the heading, two warnings, and wherever the job is named.
    assert!(page.matches("&lt;/script&gt;&lt;b onmouseover").count() >= 6);
    assert!(!page.contains("<b on"), "a name is an element");
    let drawn = |name: &str| {
        let start = format!("<polyline class=\"{name}\"");
        let lines = page.split(&start).skip(1);
        lines.filter(|line| line.find('>').unwrap() > 300).count()
    };
    // Latency, IOPS and bandwidth of two jobs, of which one only reads.
    assert_eq!((drawn("read"), drawn("write")), (6, 3));
}

/// The script of the page moves the cursor; this one only presses its keys.
#[test]
fn the_cursor_reads_the_lines() {
    let results = sample::results(&["job"]);
    let part = Part {
        name: "",
        results: &results,
    };
    let file = written(&Page {
        title: "Benchmark",
        parts: &[part],
        verdicts: &[],
    });
    let page = std::fs::read_to_string(file.path()).unwrap();
    let (head, rest) = page.split_once("<meta http-equiv").unwrap();
    let (_, rest) = rest.split_once(">\n").unwrap();
    // Without its policy, which would refuse this script as it should.
    let press = "<script>for (const area of document.querySelectorAll('.area')) \
        area.dispatchEvent(new KeyboardEvent('keydown', { key: 'PageUp' }));</script></body>";
    std::fs::write(
        file.path(),
        format!("{head}{rest}").replace("</body>", press),
    )
    .unwrap();
    let (page, _) = chromium(file.path(), &["--dump-dom"]);
    let said: Vec<&str> = page.split("class=\"when\"").skip(1).collect();
    let said = said.iter().map(|s| {
        let (_, text) = s.split_once('>').unwrap();
        text.split_once('<').unwrap().0
    });
    let said: Vec<&str> = said.collect();
    assert!(said[0].starts_with("within "), "{said:?}");
    assert_eq!(said[1..], ["at 18.0 s", "at 18.0 s"]);
}

#[test]
fn it_is_drawn_at_a_desk_in_the_dark_on_a_phone_and_on_paper() {
    let one = hostile();
    let suite = sample::results(&["4k random read", "4k random write", "4k read, depth 1"]);
    let instance = Detected::Known {
        name: "i4i.4xlarge".to_owned(),
        origin: Origin::Given,
    };
    let measured = Measured {
        read_iops: Some(412_345.0),
        write_iops: Some(151_000.0),
        disks: 1,
    };
    let verdicts = judge(&instance, &measured);
    let [data, ebs, alone] = [("/data", &suite), ("/mnt/ebs", &suite), ("", &one)]
        .map(|(name, results)| Part { name, results });
    let pages = [
        (
            "run",
            Page {
                title: "Benchmark",
                parts: &[alone],
                verdicts: &[],
            },
        ),
        (
            "suite",
            Page {
                title: "Benchmark of ip-10-0-31-207",
                parts: &[data, ebs],
                verdicts: &verdicts,
            },
        ),
    ];
    for (what, page) in &pages {
        let file = written(page);
        for (how, arguments) in [
            ("desk", &["--window-size=1280,2000"][..]),
            (
                "dark",
                &[
                    "--window-size=1280,2000",
                    "--blink-settings=preferredColorScheme=0",
                ],
            ),
            ("phone", &["--window-size=390,3600"]),
        ] {
            let shot = screenshots().join(format!("{what}-{how}.png"));
            let _ = std::fs::remove_file(&shot);
            let argument = format!("--screenshot={}", shot.display());
            chromium(file.path(), &[arguments, &[argument.as_str()]].concat());
            // A page without anything on it is a tenth of this.
            let size = std::fs::metadata(&shot).unwrap().len();
            assert!(size > 60_000, "{what} {how}: {size} bytes");
        }
        let paper = screenshots().join(format!("{what}.pdf"));
        let argument = format!("--print-to-pdf={}", paper.display());
        chromium(file.path(), &[argument.as_str()]);
        assert!(std::fs::metadata(&paper).unwrap().len() > 10_000);
    }
}
