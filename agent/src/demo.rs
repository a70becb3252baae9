//! The main job on two simulated disks: sparse files behind loop devices, which
//! the same rules accept because the demo's configuration names them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::warn;

use crate::apply::{Host as _, Machine};
use crate::cli::exit;
use crate::commands;
use crate::config::{Config, Detect, Layout, Rule};
use crate::output;
use crate::plan;
use crate::spawn::{self, Argv};

/// The least that mkfs.xfs accepts is 300 MiB; sparse, so it costs little.
const SIZE: u64 = 1 << 30;
const DISKS: usize = 2;

/// Runs the demo.
///
/// # Errors
/// When a step fails; what was made is taken down all the same.
pub fn run(dir: &Path, once: bool) -> Result<u8> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "run the demo as root: it makes loop devices and mounts"
    );
    // Caught from the start: Ctrl-C at any moment cleans up.
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("listen for Ctrl-C")?;
    let place = dir.join(format!("instore-demo.{}", std::process::id()));
    let mut demo = Demo {
        place,
        loops: Vec::new(),
        config: Config {
            detect: Detect::Rules,
            ..Config::default()
        },
    };
    let result = demo.play().map(|()| {
        if !once {
            println!("\nPress Ctrl-C to take it down.");
            signals.forever().next();
        }
    });
    let cleaned = demo.clean();
    result?;
    cleaned?;
    println!("\nTaken down: no loop device, mount or file is left.");
    if signals.pending().next().is_some() {
        warn!("interrupted");
    }
    Ok(exit::FINE)
}

struct Demo {
    place: PathBuf,
    loops: Vec<String>,
    config: Config,
}

impl Demo {
    fn play(&mut self) -> Result<()> {
        fs::create_dir_all(&self.place)
            .with_context(|| format!("create {}", self.place.display()))?;
        for i in 0..DISKS {
            self.simulate(i)?;
        }
        self.config.mount = self.place.join("data");
        let inventory = Machine.observe(&self.config)?;
        if !inventory.node.features.md_raid0 {
            println!(
                "This kernel has no md raid0: the demo makes one pool of each disk (layout each).\n"
            );
            self.config.layout = Layout::Each;
        }
        if !inventory.node.features.xfs {
            println!("This kernel has no xfs: the demo uses ext4.\n");
            self.config.fs = crate::config::Fs::Ext4;
        }
        if !inventory.node.features.quota {
            println!("This kernel has no disk quotas: the pools are made without.\n");
        }
        println!("Before:");
        self.show()?;
        println!("\nThe plan:");
        print!("{}", output::plan(&plan::plan(&self.config, &inventory)));
        println!("\nApply:");
        let outcome = commands::apply_once(
            &self.config,
            Duration::from_secs(60),
            Path::new(crate::lock::PATH),
        )?;
        ensure!(
            outcome.code == exit::FINE,
            "the simulated disks were refused"
        );
        println!("\nAfter:");
        self.show()?;
        println!();
        for pool in &outcome.plan.pools {
            let file = pool.at.join("hello.txt");
            fs::write(&file, "hello from instance store\n")
                .with_context(|| format!("write {}", file.display()))?;
            let read =
                fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            println!("wrote and read {}: {}", file.display(), read.trim());
        }
        println!(
            "\nLook around: findmnt {0}; ls -la {0}; losetup -a",
            self.config.mount.display()
        );
        Ok(())
    }

    fn show(&self) -> Result<()> {
        let mut inventory = Machine.observe(&self.config)?;
        let plan = plan::plan(&self.config, &inventory);
        inventory.disks.retain(|d| {
            self.loops
                .iter()
                .any(|l| l.ends_with(&format!("/{}", d.name)))
        });
        print!("{}", output::disks(&inventory, &plan));
        Ok(())
    }

    fn simulate(&mut self, i: usize) -> Result<()> {
        let file = self.place.join(format!("disk{i}.img"));
        File::create(&file)
            .and_then(|f| f.set_len(SIZE))
            .with_context(|| format!("create {}", file.display()))?;
        let shown = file.display().to_string();
        let device = spawn::run(&Argv::new(&["losetup", "--find", "--show", &shown]))?;
        self.loops.push(device.trim().to_owned());
        self.config.allow.push(Rule {
            backing_file: Some(file),
            ..Rule::default()
        });
        Ok(())
    }

    /// Takes down what was made, going on after a failure.
    fn clean(&self) -> Result<()> {
        let mut results = Vec::new();
        if !self.config.allow.is_empty() {
            results.push(commands::release_under_lock(&self.config));
        }
        for device in &self.loops {
            results.push(spawn::run(&Argv::new(&["losetup", "--detach", device])).map(|_| ()));
        }
        if results.iter().all(Result::is_ok) {
            results.push(
                fs::remove_dir_all(&self.place)
                    .with_context(|| format!("remove {}", self.place.display())),
            );
        }
        results.into_iter().collect()
    }
}
