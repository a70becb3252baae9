//! The page in a real browser, on a node with a healthy, a refused and a failed disk. Screenshots
//! stay in `target/page/`, to be looked at.
#![cfg(feature = "page-tests")]
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "daemon/node.rs"]
mod node;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use node::{HEALTHY, REFUSED, Served};

/// The page's own time until it is looked at: its data has come, its plots are drawn.
const PAGE_TIME: &str = "--virtual-time-budget=8000";

/// Runs Chromium on the page; what it printed, and what it complained of.
fn chromium(served: &Served, arguments: &[&str]) -> (String, String) {
    let home = tempfile::tempdir().unwrap();
    let out = browser()
        .args(["--headless=new", "--no-sandbox", "--disable-gpu"])
        .args([
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
        ])
        .arg(format!("--user-data-dir={}", home.path().display()))
        // Any other host is no host: a request there would be an error on the console.
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .args(["--enable-logging=stderr", "--v=0", PAGE_TIME])
        .args(arguments)
        .arg(format!("http://{}/", served.address()))
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&out.stdout), text(&out.stderr))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the test starts a browser; the ban is for the product"
)]
fn browser() -> Command {
    Command::new("chromium")
}

/// What the page complains of; an external request is among it, by the policy of the server.
fn complaints(log: &str) -> Vec<&str> {
    log.lines()
        .filter(|line| line.contains(":CONSOLE"))
        .collect()
}

fn screenshots() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    let mut above = executable.ancestors();
    let profile = above.find(|dir| dir.join(".fingerprint").is_dir());
    let place = profile.and_then(Path::parent).unwrap().join("page");
    std::fs::create_dir_all(&place).unwrap();
    place
}

#[test]
fn text_and_plots_are_there_and_the_console_is_quiet() {
    let served = node::serve();
    let (page, log) = chromium(&served, &["--dump-dom"]);
    assert_eq!(complaints(&log), [""; 0], "{log}");
    for words in [
        "ip-10-0-31-207.eu-west-1.compute.internal",
        HEALTHY,
        REFUSED,
        "/data/0",
        "not empty: ext4 signature at byte 1080",
        "the disk of pool instore-1 is not on the node any more",
        "drain the node and replace it",
        "Not ready",
    ] {
        assert!(page.contains(words), "the page does not say {words:?}");
    }
    // What a disk says of itself is text.
    assert!(
        page.contains("&lt;img src=x onerror"),
        "the hostile serial is missing"
    );
    assert!(
        !page.contains("<img src=x"),
        "the hostile serial is an element"
    );
    let is_drawn = |kind: &str| {
        let mut lines = page.split("<polyline ").skip(1);
        lines.any(|line| line.starts_with(&format!("class=\"{kind}\"")) && line.len() > 1000)
    };
    assert!(is_drawn("read") && is_drawn("write"), "no plots");
}

#[test]
fn it_is_drawn_at_a_desk_in_the_dark_and_on_a_phone() {
    let served = node::serve();
    for (name, arguments) in [
        ("desk", &["--window-size=1280,1600"][..]),
        (
            "dark",
            &[
                "--window-size=1280,1600",
                "--blink-settings=preferredColorScheme=0",
            ],
        ),
        ("phone", &["--window-size=390,2400"]),
    ] {
        let file = screenshots().join(format!("{name}.png"));
        let _ = std::fs::remove_file(&file);
        let shot = format!("--screenshot={}", file.display());
        let (_, log) = chromium(&served, &[arguments, &[shot.as_str()]].concat());
        assert_eq!(complaints(&log), [""; 0], "{name}: {log}");
        // A page without anything on it is a tenth of this.
        let size = std::fs::metadata(&file).unwrap().len();
        assert!(size > 60_000, "{name}: {size} bytes");
    }
}
