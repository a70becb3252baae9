//! The configuration: /etc/instore/config.toml, flags over it, and the checks
//! that need nothing but the configuration itself.

mod listen;
mod percent;
mod rule;

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

pub use listen::Listen;
pub use percent::Percent;
pub use rule::Rule;

/// Where the configuration is when no flag says otherwise.
pub const PATH: &str = "/etc/instore/config.toml";

/// Directories that a mount or a bind may never cover: the node would not boot,
/// or the agent could not undo it.
const OUT_OF_BOUNDS: &[&str] = &[
    "/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt", "/proc", "/root",
    "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log", "/var/run",
    "/var/tmp",
];

/// Trees in which nothing may be covered at all.
const OUT_OF_BOUNDS_BELOW: &[&str] = &[
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr",
    "/var/run",
];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the pool goes; with layout `each`, pool N goes to `mount`/N.
    pub mount: PathBuf,
    pub fs: Fs,
    pub layout: Layout,
    /// Node directories whose content moves to the pool.
    pub binds: Vec<PathBuf>,
    /// Share of every disk that stays unused at its end.
    pub reserve: Percent,
    pub on_failure: OnFailure,
    pub require_disks: bool,
    pub wait_seconds: u64,
    /// Where the daemon answers HTTP.
    pub listen: Listen,
    /// How often the daemon trims every pool; 0 is never.
    pub trim_days: u16,
    /// Whether the daemon runs the standard suite on a pool that is new.
    pub bench_at_first_boot: FirstBench,
    /// Which disks are accepted without a rule.
    pub detect: Detect,
    /// Disks to accept besides the clouds' own; all given fields must match.
    pub allow: Vec<Rule>,
    /// Disks never to touch; wins over every `allow`.
    pub deny: Vec<Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Fs {
    Xfs,
    Ext4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// `single` for one disk, `raid0` for more.
    Auto,
    Single,
    Each,
    Raid0,
    Raid10,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Consumers of the storage do not start.
    Block,
    /// The node boots on with what it has.
    Continue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detect {
    /// The local disks of AWS, GCP and Azure.
    Clouds,
    /// None: only what an allow rule names.
    Rules,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstBench {
    Off,
    /// About fifteen seconds.
    Quick,
    /// About two minutes.
    Full,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            mount: PathBuf::from("/data"),
            fs: Fs::Xfs,
            layout: Layout::Auto,
            binds: Vec::new(),
            reserve: Percent::default(),
            on_failure: OnFailure::Block,
            require_disks: false,
            wait_seconds: 0,
            listen: Listen::default(),
            trim_days: 7,
            bench_at_first_boot: FirstBench::Off,
            detect: Detect::Clouds,
            allow: Vec::new(),
            deny: Vec::new(),
        }
    }
}

impl Config {
    /// Reads a file. A missing file is the default configuration, unless the
    /// user named it.
    ///
    /// # Errors
    /// When the file cannot be read, does not parse, has an unknown key or a
    /// value that is refused; the error names the line.
    pub fn read(path: &Path, named: Named) -> Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && named == Named::ByDefault => {
                return Ok(Self::default());
            }
            Err(e) => return Err(e).with_context(|| format!("read {}", path.display())),
        };
        Self::parse(&text).with_context(|| format!("read configuration {}", path.display()))
    }

    /// Parses TOML and checks it.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Checks what flags may have changed as well.
    ///
    /// # Errors
    /// When a path is out of bounds or doubled, or a rule matches everything.
    pub fn check(&self) -> Result<()> {
        check_target("mount", &self.mount)?;
        let mut seen = BTreeSet::new();
        for bind in &self.binds {
            check_target("bind", bind)?;
            ensure!(seen.insert(bind), "bind {} is there twice", bind.display());
            ensure!(
                !bind.starts_with(&self.mount) && !self.mount.starts_with(bind),
                "bind {} and mount {} lie inside each other: choose another mount",
                bind.display(),
                self.mount.display()
            );
        }
        for (i, a) in self.binds.iter().enumerate() {
            for b in &self.binds[i + 1..] {
                ensure!(
                    !a.starts_with(b) && !b.starts_with(a),
                    "binds {} and {} lie inside each other: keep the outer one",
                    a.display(),
                    b.display()
                );
            }
        }
        for rule in self.allow.iter().chain(&self.deny) {
            rule.check()?;
        }
        Ok(())
    }

    /// The directories this configuration covers: for layout `each` the parent.
    #[must_use]
    pub fn targets(&self) -> Vec<&Path> {
        std::iter::once(self.mount.as_path())
            .chain(self.binds.iter().map(PathBuf::as_path))
            .collect()
    }

    /// As the file would say it.
    ///
    /// # Errors
    /// When a path is not UTF-8.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}

/// Whether the user named the configuration file or it is the usual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    ByUser,
    ByDefault,
}

fn check_target(what: &str, path: &Path) -> Result<()> {
    let shown = path.display();
    ensure!(path.is_absolute(), "{what} {shown} is not an absolute path");
    let text = path
        .to_str()
        .with_context(|| format!("{what} {shown} is not UTF-8"))?;
    ensure!(
        !text.contains(|c: char| c.is_control()),
        "{what} {text:?} holds a control character"
    );
    let plain: PathBuf = path.components().collect();
    ensure!(
        path.components()
            .all(|c| matches!(c, Component::RootDir | Component::Normal(_)))
            && plain.as_os_str() == path.as_os_str(),
        "{what} {shown} must be written plainly, without '.', '..', or a slash too many"
    );
    let below = OUT_OF_BOUNDS_BELOW.iter().find(|p| path.starts_with(p));
    if OUT_OF_BOUNDS.iter().any(|p| path == Path::new(p)) || below.is_some() {
        bail!("{what} {shown} is out of bounds: the system itself lives there");
    }
    Ok(())
}

impl fmt::Display for Fs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xfs => "xfs",
            Self::Ext4 => "ext4",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        format!("{:#}", Config::parse(text).unwrap_err())
    }

    #[test]
    fn the_default_survives_a_round_trip() {
        let text = Config::default().to_toml().unwrap();
        assert_eq!(Config::parse(&text).unwrap(), Config::default());
    }

    #[test]
    fn a_typo_is_refused_with_its_line() {
        let text = refusal("fs = \"xfs\"\nmuont = \"/data\"\n");
        assert!(text.contains("line 2") && text.contains("muont"), "{text}");
        assert!(refusal("[[allow]]\nserail = \"x\"\n").contains("serail"));
    }

    #[test]
    fn paths_out_of_bounds_are_refused() {
        for path in [
            "/",
            "/etc/x",
            "/var/lib",
            "/usr/share/data",
            "relative",
            "/a/../b",
            "/a//b",
            "/a/",
            "/dev/shm/x",
        ] {
            let text = refusal(&format!("mount = {path:?}"));
            assert!(text.contains(path), "{path}: {text}");
        }
        for path in [
            "/data",
            "/var/lib/containerd",
            "/mnt/k8s-disks/0",
            "/srv/fast",
        ] {
            Config::parse(&format!("mount = {path:?}")).unwrap();
        }
    }

    #[test]
    fn binds_may_not_nest() {
        assert!(refusal("binds = [\"/data/x\"]").contains("inside each other"));
        assert!(refusal("binds = [\"/var/lib/a\", \"/var/lib/a/b\"]").contains("outer"));
        assert!(refusal("binds = [\"/var/lib/a\", \"/var/lib/a\"]").contains("twice"));
    }
}
