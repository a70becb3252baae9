//! The argument vectors of mdadm and mkfs: pure, so that what is run on
//! somebody's disks can be read in the golden tests below.

use std::path::Path;

use crate::config::Fs;
use crate::mounting::Quota;
use crate::plan::Level;
use crate::spawn::Argv;

/// A multiple of it fits every log stripe limit of XFS; Bottlerocket's choice.
const CHUNK_KIB: u32 = 256;
/// XFS accepts up to 256 KiB; a small unit wastes less on every fsync.
const LOG_STRIPE: u32 = 32 << 10;
/// Block size of both filesystems.
const BLOCK: u64 = 4096;

/// What a filesystem is made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes the filesystem may use.
    pub size: u64,
    /// Data disks in a stripe; None without an array.
    pub stripes: Option<u32>,
}

/// Kernel version, as far as it decides features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// The first two numbers of "6.1.0-25-cloud-amd64" or of
    /// "mkfs.xfs version 6.1.0"; 0.0 when there are none.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let word = text
            .split_whitespace()
            .find(|w| w.starts_with(|c: char| c.is_ascii_digit()));
        let mut numbers = word
            .unwrap_or_default()
            .split(|c: char| !c.is_ascii_digit())
            .map(|n| n.parse().unwrap_or(0));
        Self(numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }
}

/// Creates an array without asking and without a resync: every member reads as
/// zero, so copies agree from the start.
#[must_use]
pub fn create_array(level: Level, uuid: &str, node: &Path, devices: &[&Path]) -> Argv {
    let mut words = vec![
        "mdadm".to_owned(),
        "--create".into(),
        node.display().to_string(),
        "--run".into(),
        "--quiet".into(),
        "--metadata=1.2".into(),
        format!("--level={}", level.number()),
        format!("--raid-devices={}", devices.len()),
        format!("--chunk={CHUNK_KIB}K"),
        "--homehost=any".into(),
        "--name=instore".into(),
        format!("--uuid={}", colons(uuid)),
    ];
    if level == Level::Raid10 {
        words.extend([
            "--layout=n2".into(),
            "--assume-clean".into(),
            "--bitmap=none".into(),
        ]);
    }
    words.extend(devices.iter().map(|d| d.display().to_string()));
    Argv(words)
}

/// Assembles an array by its UUID from exactly these devices.
#[must_use]
pub fn assemble_array(uuid: &str, node: &Path, devices: &[&Path]) -> Argv {
    let mut words = vec![
        "mdadm".to_owned(),
        "--assemble".into(),
        node.display().to_string(),
        "--run".into(),
        "--quiet".into(),
        format!("--uuid={}", colons(uuid)),
    ];
    words.extend(devices.iter().map(|d| d.display().to_string()));
    Argv(words)
}

#[must_use]
pub fn stop_array(node: &Path) -> Argv {
    Argv::new(&["mdadm", "--stop", "--quiet", &node.display().to_string()])
}

/// mdadm writes UUIDs as four words.
fn colons(uuid: &str) -> String {
    let hex: String = uuid.chars().filter(|c| *c != '-').collect();
    let words: Vec<&str> = [0, 8, 16, 24]
        .iter()
        .filter_map(|&i| hex.get(i..i + 8))
        .collect();
    words.join(":")
}

/// Everything mkfs has to know.
#[derive(Debug, Clone, Copy)]
pub struct Mkfs<'a> {
    pub fs: Fs,
    pub device: &'a Path,
    pub label: &'a str,
    pub uuid: &'a str,
    pub geometry: Geometry,
    pub kernel: Version,
    /// Of mkfs.xfs.
    pub xfsprogs: Version,
    pub quota: Quota,
    pub leftovers: Leftovers,
}

/// Whether an attempt that did not finish left something: only then does mkfs
/// run without its own check for signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    None,
    Ours,
}

#[must_use]
pub fn mkfs(m: &Mkfs<'_>) -> Argv {
    match m.fs {
        Fs::Xfs => mkfs_xfs(m),
        Fs::Ext4 => mkfs_ext4(m),
    }
}

fn mkfs_xfs(m: &Mkfs<'_>) -> Argv {
    let on = |feature: bool| u8::from(feature);
    // The kernel that first had each feature without calling it experimental.
    let kernel = m.kernel;
    let mut meta = format!(
        "crc=1,finobt=1,rmapbt=0,reflink={},uuid={}",
        on(kernel >= Version(4, 16)),
        m.uuid
    );
    let mut inode = "sparse=1".to_owned();
    if m.xfsprogs >= Version(5, 10) {
        let new = on(kernel >= Version(5, 10));
        meta += &format!(",bigtime={new},inobtcount={new}");
    }
    if m.xfsprogs >= Version(5, 19) {
        inode += &format!(",nrext64={}", on(kernel >= Version(6, 5)));
    }
    if m.xfsprogs >= Version(6, 10) {
        inode += &format!(",exchange={}", on(kernel >= Version(6, 12)));
    }
    let mut data = format!("size={}", m.geometry.size / BLOCK * BLOCK);
    let mut log = "version=2".to_owned();
    if let Some(stripes) = m.geometry.stripes {
        data += &format!(",su={CHUNK_KIB}k,sw={stripes}");
        log += &format!(",su={LOG_STRIPE}");
    }
    let mut words = vec![
        "mkfs.xfs", "-q", "-K", "-L", m.label, "-m", &meta, "-i", &inode, "-d", &data, "-l", &log,
    ];
    if m.leftovers == Leftovers::Ours {
        words.push("-f");
    }
    let device = m.device.display().to_string();
    words.push(&device);
    Argv::new(&words)
}

fn mkfs_ext4(m: &Mkfs<'_>) -> Argv {
    let mut extended = vec!["nodiscard".to_owned()];
    if let Some(stripes) = m.geometry.stripes {
        let stride = u64::from(CHUNK_KIB) * 1024 / BLOCK;
        extended.push(format!("stride={stride}"));
        extended.push(format!("stripe_width={}", stride * u64::from(stripes)));
    }
    // Features of every kernel since 4.5; newer defaults of mkfs are not asked for.
    let mut features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum".to_owned();
    if m.quota == Quota::On {
        features += ",quota,project";
        extended.push("quotatype=prjquota".into());
    }
    let extended = extended.join(",");
    let mut words = vec![
        "mkfs.ext4",
        "-q",
        "-b",
        "4096",
        "-I",
        "256",
        "-m",
        "0",
        "-L",
        m.label,
        "-U",
        m.uuid,
        "-O",
        &features,
        "-E",
        &extended,
    ];
    if m.leftovers == Leftovers::Ours {
        words.push("-F");
    }
    let device = m.device.display().to_string();
    let blocks = (m.geometry.size / BLOCK).to_string();
    words.extend([device.as_str(), blocks.as_str()]);
    Argv::new(&words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "11111111-2222-3333-4444-555555555555";

    fn words(argv: &Argv) -> String {
        argv.0.join(" ")
    }

    fn one(fs: Fs, stripes: Option<u32>, leftovers: Leftovers) -> Mkfs<'static> {
        Mkfs {
            fs,
            device: Path::new("/dev/x"),
            label: "instore",
            uuid: UUID,
            geometry: Geometry {
                size: 10_000_000,
                stripes,
            },
            kernel: Version(6, 1),
            xfsprogs: Version(6, 1),
            quota: Quota::On,
            leftovers,
        }
    }

    #[test]
    fn versions_come_from_kernel_and_mkfs() {
        assert_eq!(Version::parse("6.1.0-25-cloud-amd64"), Version(6, 1));
        assert_eq!(Version::parse("mkfs.xfs version 5.18.0"), Version(5, 18));
        assert_eq!(
            Version::parse("5.10.225-213.878.amzn2.x86_64"),
            Version(5, 10)
        );
        assert_eq!(Version::parse("none"), Version(0, 0));
    }

    #[test]
    fn arrays() {
        let devices = [Path::new("/dev/a"), Path::new("/dev/b")];
        let node = Path::new("/dev/md/instore");
        assert_eq!(
            words(&create_array(Level::Raid0, UUID, node, &devices)),
            "mdadm --create /dev/md/instore --run --quiet --metadata=1.2 --level=0 --raid-devices=2 --chunk=256K --homehost=any --name=instore --uuid=11111111:22223333:44445555:55555555 /dev/a /dev/b"
        );
        let raid10 = words(&create_array(Level::Raid10, UUID, node, &devices));
        assert!(
            raid10.contains("--level=10")
                && raid10.contains("--layout=n2 --assume-clean --bitmap=none /dev/a")
        );
        assert_eq!(
            words(&assemble_array(UUID, node, &devices)),
            "mdadm --assemble /dev/md/instore --run --quiet --uuid=11111111:22223333:44445555:55555555 /dev/a /dev/b"
        );
        assert_eq!(
            words(&stop_array(node)),
            "mdadm --stop --quiet /dev/md/instore"
        );
    }

    #[test]
    fn xfs_on_one_disk() {
        assert_eq!(
            words(&mkfs(&one(Fs::Xfs, None, Leftovers::None))),
            "mkfs.xfs -q -K -L instore -m crc=1,finobt=1,rmapbt=0,reflink=1,uuid=11111111-2222-3333-4444-555555555555,bigtime=1,inobtcount=1 -i sparse=1,nrext64=0 -d size=9998336 -l version=2 /dev/x"
        );
    }

    #[test]
    fn xfs_on_a_stripe_has_a_log_stripe_that_xfs_accepts() {
        let text = words(&mkfs(&one(Fs::Xfs, Some(8), Leftovers::Ours)));
        assert!(
            text.contains("-d size=9998336,su=256k,sw=8 -l version=2,su=32768 -f /dev/x"),
            "{text}"
        );
    }

    #[test]
    fn an_old_kernel_gets_old_features_whatever_mkfs_would_do() {
        let old = Mkfs {
            kernel: Version(4, 14),
            xfsprogs: Version(6, 1),
            ..one(Fs::Xfs, None, Leftovers::None)
        };
        let text = words(&mkfs(&old));
        assert!(
            text.contains("reflink=0")
                && text.contains("bigtime=0,inobtcount=0")
                && text.contains("nrext64=0"),
            "{text}"
        );
        // An old mkfs does not know the words at all.
        let text = words(&mkfs(&Mkfs {
            xfsprogs: Version(4, 20),
            ..old
        }));
        assert!(
            !text.contains("bigtime") && !text.contains("nrext64"),
            "{text}"
        );
    }

    #[test]
    fn ext4_with_and_without_quota() {
        let text = words(&mkfs(&one(Fs::Ext4, Some(4), Leftovers::None)));
        assert!(
            text.contains("-E nodiscard,stride=64,stripe_width=256,quotatype=prjquota /dev/x 2441"),
            "{text}"
        );
        assert!(text.contains("metadata_csum,quota,project"), "{text}");
        let off = Mkfs {
            quota: Quota::Off,
            ..one(Fs::Ext4, None, Leftovers::Ours)
        };
        let text = words(&mkfs(&off));
        assert!(
            !text.contains("quota") && text.contains("-E nodiscard -F /dev/x 2441"),
            "{text}"
        );
    }

    #[test]
    fn only_leftovers_of_ours_switch_the_check_of_mkfs_off() {
        for fs in [Fs::Xfs, Fs::Ext4] {
            let text = words(&mkfs(&one(fs, None, Leftovers::None)));
            assert!(!text.contains(" -f ") && !text.contains(" -F "), "{text}");
        }
    }
}
