//! A model of a machine: it keeps what steps leave on disks, refuses what a
//! real one would, and can die before any step. Apply must converge on it.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, bail};
use proptest::prelude::*;

use super::*;
use crate::carry::bind_source;
use crate::config::Layout;
use crate::inventory::{Array, Claim, Content, Disk, Filesystem, Member, Mount, Ours};
use crate::plan::plan;
use crate::testing::{instance_disk, node};

const ARRAY_DEV: &str = "9:127";
const ARRAY_NAME: &str = "md127";

struct Model {
    state: Mutex<Inventory>,
    /// Steps that are still done before it dies; what comes after fails.
    left: AtomicUsize,
}

impl Model {
    fn new(inventory: Inventory) -> Self {
        Self {
            state: Mutex::new(inventory),
            left: AtomicUsize::new(usize::MAX),
        }
    }

    fn survive(&self) -> Result<()> {
        let left = |n: usize| n.checked_sub(1);
        if self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_err()
        {
            bail!("killed");
        }
        Ok(())
    }
}

fn on_disks(state: &mut Inventory, work: Work<'_>, mut change: impl FnMut(usize, &mut Disk)) {
    for (slot, wanted) in work.pool.disks.iter().enumerate() {
        let disk = state
            .disks
            .iter_mut()
            .find(|d| d.identity() == wanted.identity)
            .unwrap();
        change(slot, disk);
    }
}

fn under(disk: &mut Disk, what: Ours) {
    match &mut disk.content {
        Some(Content::Ours(Ours::Claimed(claim))) => claim.under = Some(Box::new(what)),
        other => panic!("written without a claim: {other:?}"),
    }
}

impl Host for Model {
    fn observe(&self, _: &Config) -> Result<Inventory> {
        Ok(self.state.lock().unwrap().clone())
    }

    fn step(&self, work: Work<'_>, step: &Step, _: &mut Made) -> Result<()> {
        let mut state = self.state.lock().unwrap();
        let filesystem = Ours::Filesystem(Filesystem {
            fs: work.config.fs.to_string(),
            label: work.pool.label.clone(),
            uuid: "f".into(),
        });
        match step {
            Step::Claim => {
                for wanted in &work.pool.disks {
                    self.survive()?;
                    let disk = state
                        .disks
                        .iter_mut()
                        .find(|d| d.identity() == wanted.identity)
                        .unwrap();
                    assert!(disk.holders.is_empty(), "claimed below an array");
                    let ours = matches!(
                        &disk.content,
                        Some(Content::Empty | Content::Ours(Ours::Claimed(_)))
                    );
                    assert!(ours, "claimed {:?}", disk.content);
                    disk.content = Some(Content::Ours(Ours::Claimed(Claim {
                        pool_uuid: "a".into(),
                        disk: disk.identity(),
                        under: None,
                    })));
                }
            }
            Step::StopArray { .. } => {
                self.survive()?;
                state.arrays.clear();
                on_disks(&mut state, work, |_, disk| disk.holders.clear());
            }
            Step::CreateArray { level } => {
                self.survive()?;
                let raid_disks = u32::try_from(work.pool.disks.len())?;
                let level = level.number();
                on_disks(&mut state, work, |slot, disk| {
                    under(
                        disk,
                        member(level, raid_disks, u32::try_from(slot).unwrap()),
                    );
                });
                assemble(&mut state, work, Content::Empty);
            }
            Step::AssembleArray { .. } => {
                self.survive()?;
                assemble(&mut state, work, Content::Ours(filesystem));
            }
            Step::MakeFilesystem { .. } => {
                self.survive()?;
                if work.pool.level.is_some() {
                    state.arrays[0].content = Some(Content::Ours(filesystem));
                } else {
                    on_disks(&mut state, work, |_, disk| under(disk, filesystem.clone()));
                }
            }
            Step::Finish => {
                for wanted in &work.pool.disks {
                    self.survive()?;
                    let disk = state
                        .disks
                        .iter_mut()
                        .find(|d| d.identity() == wanted.identity)
                        .unwrap();
                    if let Some(Content::Ours(Ours::Claimed(claim))) = &disk.content {
                        disk.content = claim.under.clone().map(|ours| Content::Ours(*ours));
                    }
                }
            }
            Step::Mount => {
                self.survive()?;
                let claimed = work.pool.disks.iter().any(|wanted| {
                    let disk = state.disks.iter().find(|d| d.identity() == wanted.identity);
                    matches!(disk.unwrap().content, Some(Content::Ours(Ours::Claimed(_))))
                });
                assert!(!claimed, "mounted with a claim on it");
                let mount = mount(&state, work, Path::new("/"), &work.pool.at);
                state.mounts.push(mount);
            }
        }
        Ok(())
    }

    fn bind(&self, work: Work<'_>, dirs: &[PathBuf]) -> Result<()> {
        for dir in dirs {
            self.survive()?;
            let mut state = self.state.lock().unwrap();
            let mount = mount(&state, work, &bind_source(Path::new("/"), dir), dir);
            state.mounts.push(mount);
        }
        Ok(())
    }
}

fn member(level: i32, raid_disks: u32, slot: u32) -> Ours {
    Ours::Member(Member {
        array_uuid: "a".into(),
        name: "any:instore".into(),
        level,
        raid_disks,
        slot,
    })
}

fn assemble(state: &mut Inventory, work: Work<'_>, content: Content) {
    let members: Vec<String> = work.pool.disks.iter().map(|d| d.name.clone()).collect();
    on_disks(state, work, |_, disk| {
        disk.holders = vec![ARRAY_NAME.into()]
    });
    state.arrays.push(Array {
        name: ARRAY_NAME.into(),
        dev: ARRAY_DEV.into(),
        level: "raid0".into(),
        state: "clean".into(),
        members,
        size: 1 << 30,
        uuid: Some("a".into()),
        content: Some(content),
    });
}

fn mount(state: &Inventory, work: Work<'_>, root: &Path, at: &Path) -> Mount {
    let first = &work.pool.disks[0].identity;
    let disk = state.disks.iter().find(|d| d.identity() == *first).unwrap();
    let dev = if work.pool.level.is_some() {
        ARRAY_DEV
    } else {
        &disk.dev
    };
    Mount {
        dev: dev.into(),
        root: root.into(),
        at: at.into(),
        fs: "xfs".into(),
        source: String::new(),
        options: String::new(),
    }
}

fn run(model: &Model, config: &Config) -> Result<Plan> {
    let inventory = model.observe(config)?;
    let plan = plan(config, &inventory);
    apply(model, config, &inventory, &plan)?;
    Ok(plan)
}

/// A reboot: mounts are gone, and udev may or may not have assembled arrays.
fn reboot(model: &Model, arrays_come_back: bool) {
    let mut state = model.state.lock().unwrap();
    state.mounts.clear();
    if !arrays_come_back {
        state.arrays.clear();
        for disk in &mut state.disks {
            disk.holders.clear();
        }
    }
}

proptest! {
    #[test]
    fn apply_converges_whenever_it_was_killed(
        count in 0..9usize,
        layout in prop::sample::select(vec![Layout::Auto, Layout::Each, Layout::Raid0, Layout::Raid10]),
        kills in prop::collection::vec((0..20usize, any::<bool>(), any::<bool>()), 0..4),
    ) {
        let config = Config {
            layout,
            binds: vec!["/var/lib/containerd".into(), "/var/lib/kubelet".into()],
            ..Config::default()
        };
        let model = Model::new(node((0..count).map(instance_disk).collect()));
        for (steps, cut, arrays) in kills {
            model.left.store(steps, Ordering::SeqCst);
            let _ = run(&model, &config);
            if cut {
                reboot(&model, arrays);
            }
        }
        model.left.store(usize::MAX, Ordering::SeqCst);
        run(&model, &config).unwrap();
        let again = plan(&config, &model.observe(&config).unwrap());
        prop_assert!(again.is_done(), "{:?}", again);

        let undisturbed = Model::new(node((0..count).map(instance_disk).collect()));
        run(&undisturbed, &config).unwrap();
        let (a, b) = (model.state.lock().unwrap(), undisturbed.state.lock().unwrap());
        prop_assert_eq!(&a.disks, &b.disks);
        let places = |state: &Inventory| {
            let mut at: Vec<_> = state.mounts.iter().map(|m| (m.at.clone(), m.root.clone())).collect();
            at.sort();
            at
        };
        prop_assert_eq!(places(&a), places(&b));
    }
}

#[test]
fn one_failed_pool_does_not_stop_the_others() {
    let config = Config {
        layout: Layout::Each,
        ..Config::default()
    };
    let model = Model::new(node((0..3).map(instance_disk).collect()));
    model.left.store(8, Ordering::SeqCst);
    let error = run(&model, &config).unwrap_err();
    assert!(format!("{error:#}").contains("killed"));
    let state = model.state.lock().unwrap();
    assert!(
        !state.mounts.is_empty()
            || state
                .disks
                .iter()
                .any(|d| d.content != Some(Content::Empty))
    );
}
