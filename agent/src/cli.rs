//! The command line. Man pages and completions are generated from this.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{Config, Fs, Layout, Listen, OnFailure, Percent};

/// Exit codes, the same for every command.
pub mod exit {
    /// Done, or nothing to do.
    pub const FINE: u8 = 0;
    /// A step failed; what it had begun was put back or is safe to run again.
    pub const FAILED: u8 = 1;
    /// The command line or the configuration is wrong.
    pub const USAGE: u8 = 2;
    /// Refused: a disk is not empty, a mount point is taken, disks are missing.
    pub const REFUSED: u8 = 3;
    /// What is on a disk could not be told.
    pub const UNTOLD: u8 = 4;
    /// Another instore is at work.
    pub const LOCKED: u8 = 5;
}

const EXITS: &str = "Exit status:
  0  done, or nothing to do
  1  a step failed; it is safe to run again
  2  the command line or the configuration is wrong
  3  refused: a disk is not empty, a mount point is taken, disks are missing
  4  probe only: what is on a disk could not be told
  5  another instore is at work";

/// Sets up, and looks after, the ephemeral NVMe disks of a cloud node.
#[derive(Debug, Parser)]
#[command(name = "instore", version, after_help = EXITS, max_term_width = 100)]
pub struct Cli {
    /// Configuration file [default: /etc/instore/config.toml, if there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How much to say: error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    pub log_level: tracing::Level,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show every disk, what is on it, and whether it may be used
    Disks {
        #[command(flatten)]
        settings: Settings,
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Save what is seen on this machine, for `plan --observed` elsewhere
    Observe {
        #[command(flatten)]
        settings: Settings,
    },
    /// Show what apply would do, and why
    Plan {
        #[command(flatten)]
        settings: Settings,
        /// Plan for what `instore observe` saved, here or elsewhere
        #[arg(long, value_name = "FILE")]
        observed: Option<PathBuf>,
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Make the storage as configured; a second run changes nothing
    Apply {
        #[command(flatten)]
        settings: Settings,
        /// Wait this long for disks that appear late
        #[arg(long, value_name = "SECONDS")]
        wait: Option<u64>,
        /// Fail when there is no ephemeral disk
        #[arg(long)]
        require_disks: bool,
        /// Wait this long for another instore to end
        #[arg(long, value_name = "SECONDS", default_value_t = crate::lock::PATIENCE.as_secs())]
        lock_timeout: u64,
        /// As at boot: let `on_failure` decide the exit status
        #[arg(long)]
        boot: bool,
    },
    /// Keep the storage as configured, and serve metrics: the daemon
    Run {
        #[command(flatten)]
        settings: Settings,
        /// Where to answer HTTP, or "none"
        #[arg(long, value_name = "ADDR")]
        listen: Option<Listen>,
        /// Where the command line asks the daemon
        #[arg(long, value_name = "PATH", default_value = crate::daemon::SOCKET)]
        socket: PathBuf,
    },
    /// Show what the daemon knows: pools, disks, and what is the matter
    Status {
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
        /// Where the daemon listens
        #[arg(long, value_name = "PATH", default_value = crate::daemon::SOCKET)]
        socket: PathBuf,
    },
    /// Have the daemon read its configuration again
    Reload {
        /// Where the daemon listens
        #[arg(long, value_name = "PATH", default_value = crate::daemon::SOCKET)]
        socket: PathBuf,
    },
    /// Tell what is on devices or image files, without changing them
    Probe {
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
    /// Give one disk up: everything on it is destroyed
    Wipe {
        /// Kernel name, device path or serial
        disk: String,
        /// The disk's serial, typed back
        #[arg(long, value_name = "SERIAL")]
        confirm: Option<String>,
    },
    /// Take down what apply made; the data stays on the disks
    Release {
        #[command(flatten)]
        settings: Settings,
    },
    /// Do the main job on two simulated disks
    Demo {
        /// Clean up at once instead of waiting for Ctrl-C
        #[arg(long)]
        once: bool,
        /// Where the simulated disks go
        #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
        dir: PathBuf,
    },
    /// Measure a directory or an empty device: fio's options and job files
    ///
    /// `instore bench JOBFILE...` and `instore bench --name=NAME OPTION...` take fio's
    /// language; `instore bench --help` lists the options, `--cmdhelp=OPTION` explains
    /// one. `instore bench --suite` runs the standard suite, `instore bench compare A B`
    /// compares two files of results.
    #[command(disable_help_flag = true)]
    Bench {
        /// As above
        #[arg(
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "ARGUMENT"
        )]
        arguments: Vec<OsString>,
    },
    /// Check or show the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
    /// Write man pages, or print the main one
    Man {
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration; says nothing when it is fine
    Check {
        #[command(flatten)]
        settings: Settings,
    },
    /// Print the configuration in force
    Show {
        #[command(flatten)]
        settings: Settings,
    },
    /// Print the default configuration
    Default,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Table,
    Json,
}

/// Settings that override the configuration file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Settings {
    /// Where the pool is mounted
    #[arg(long, value_name = "DIR")]
    pub mount: Option<PathBuf>,
    /// Filesystem to make
    #[arg(long, value_enum)]
    pub fs: Option<Fs>,
    /// How several disks become storage
    #[arg(long, value_enum)]
    pub layout: Option<Layout>,
    /// Node directory whose content moves to the pool; may be repeated
    #[arg(long, value_name = "DIR")]
    pub bind: Vec<PathBuf>,
    /// Share of each disk that stays unused, such as 10%
    #[arg(long, value_name = "PERCENT")]
    pub reserve: Option<Percent>,
    /// What a failure does to the boot
    #[arg(long, value_enum)]
    pub on_failure: Option<OnFailure>,
}

impl Settings {
    /// Whether no flag was given.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Lays the flags over a configuration.
    pub fn over(&self, config: &mut Config) {
        if let Some(mount) = &self.mount {
            config.mount.clone_from(mount);
        }
        if !self.bind.is_empty() {
            config.binds.clone_from(&self.bind);
        }
        config.fs = self.fs.unwrap_or(config.fs);
        config.layout = self.layout.unwrap_or(config.layout);
        config.reserve = self.reserve.unwrap_or(config.reserve);
        config.on_failure = self.on_failure.unwrap_or(config.on_failure);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_lie_over_the_file() {
        let cli = Cli::parse_from([
            "instore",
            "apply",
            "--fs",
            "ext4",
            "--bind",
            "/a",
            "--bind",
            "/b",
            "--reserve",
            "10%",
        ]);
        let Command::Apply { settings, .. } = cli.command else {
            panic!()
        };
        let mut config = Config::parse("mount = \"/x\"\nbinds = [\"/c\"]").unwrap();
        settings.over(&mut config);
        assert_eq!(config.mount, PathBuf::from("/x"));
        assert_eq!(config.binds, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!((config.fs, config.reserve.get()), (Fs::Ext4, 10));
    }
}
