#!/bin/bash
# Builds the guest of the virtual machine tests, from Debian packages only.
#
#   build-image.sh OUTDIR    leaves OUTDIR/vmlinuz and OUTDIR/root.img (raw, sparse, GPT, ext4)
#
# Needs root and the Debian packages mmdebstrap, e2fsprogs, fdisk, kmod and dpkg. No loop device, no
# network beyond apt. Nothing is done when OUTDIR already holds an image made from these very files.
set -euo pipefail
shopt -s nullglob

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:?usage: build-image.sh OUTDIR}
suite=bookworm
root_bytes=$((1536 * 1024 * 1024))
# The kernel finds its root by this GPT partition id: NVMe names depend on probing order.
root_partuuid=7d0c9a52-6f0e-4a3c-9a55-0d1f5a1b2c01

packages=(
    systemd systemd-sysv udev dbus kmod util-linux procps
    xfsprogs e2fsprogs mdadm nvme-cli
    containerd runc attr
)
# Kernel modules that the tests need; their dependencies come along.
modules=(
    virtio_pci virtio_blk virtio_console
    xfs raid0 raid1 raid10 overlay loop quota_v2
    crc32c_intel null_blk
)
# Units that cost boot time and that no test looks at.
masked=(
    getty@.service serial-getty@.service console-getty.service getty.target getty-static.service
    systemd-logind.service systemd-user-sessions.service
    systemd-journal-flush.service systemd-journal-catalog-update.service
    systemd-random-seed.service systemd-update-utmp.service systemd-update-utmp-runlevel.service
    systemd-hwdb-update.service systemd-ask-password-wall.path systemd-ask-password-console.path
    systemd-pstore.service systemd-binfmt.service systemd-machine-id-commit.service
    systemd-boot-system-token.service systemd-firstboot.service systemd-sysusers.service
    systemd-timesyncd.service systemd-networkd.service systemd-resolved.service
    systemd-update-done.service systemd-repart.service ldconfig.service
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
    e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer
    mdmonitor.service mdmonitor-oneshot.timer mdcheck_start.timer mdcheck_continue.timer
    mdadm.service mdadm-waitidle.service mdadm-shutdown.service
    nvmefc-boot-connections.service nvmf-autoconnect.service nvmf-connect.target
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount
    sys-fs-fuse-connections.mount sys-kernel-config.mount proc-sys-fs-binfmt_misc.automount
    modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service
    modprobe@dm_mod.service modprobe@loop.service kmod-static-nodes.service
    systemd-modules-load.service systemd-remount-fs.service uuidd.socket
    systemd-initctl.socket systemd-pcrphase.service systemd-pcrphase-sysinit.service
    cryptsetup.target integritysetup.target veritysetup.target
)

inputs() {
    # Names relative to this directory, so that a clone elsewhere has the same hash.
    (cd "$here" && sha256sum build-image.sh guest/* && uname -m) | sha256sum | cut -d' ' -f1
}

stamp=$(inputs)
if [ -s "$out/root.img" ] && [ -s "$out/vmlinuz" ] && [ "$(cat "$out/stamp" 2>/dev/null)" = "$stamp" ]; then
    echo "guest image is up to date: $out"
    exit 0
fi

mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "$out/build.XXXXXX")
trap 'rm -rf "$work"' EXIT
root=$work/root

echo "building the guest image in $out (about a minute)"
rm -f "$out/stamp"
mmdebstrap --quiet --variant=minbase \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="$(IFS=,; echo "${packages[*]}")" "$suite" "$root"

# --- kernel: unpacked, not installed, so that no initramfs is built
kernel_package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -1)
(cd "$work" && apt-get -q -o APT::Sandbox::User=root download "$kernel_package")
dpkg -x "$work"/linux-image-*.deb "$work/kernel"
release=$(basename "$work"/kernel/lib/modules/*)
cp "$work/kernel/boot/vmlinuz-$release" "$out/vmlinuz"

tree=/lib/modules/$release
depmod -b "$work/kernel" "$release"
mkdir -p "$root$tree"
cp "$work/kernel$tree"/modules.{order,builtin,builtin.modinfo} "$root$tree"
for module in "${modules[@]}"; do
    modprobe -d "$work/kernel" -S "$release" --show-depends "$module" | sed -n 's/^insmod \([^ ]*\).*/\1/p'
done | sort -u | while read -r file; do
    file=${file#"$work/kernel"}
    install -D -m 644 "$work/kernel$file" "$root$file"
done
depmod -b "$root" "$release"

# --- trim
rm -rf "$root"/var/lib/apt "$root"/var/cache/* "$root"/usr/share/{doc,man,locale,i18n,bash-completion,zoneinfo} \
    "$root"/usr/lib/x86_64-linux-gnu/gconv "$root"/usr/lib/udev/hwdb.bin "$root"/usr/lib/udev/hwdb.d \
    "$root"/usr/bin/containerd-stress "$root"/usr/bin/perl* "$root"/usr/lib/x86_64-linux-gnu/perl* \
    "$root"/usr/lib/systemd/system-generators "${root:?}"/boot/*
mkdir -p "$root"/var/cache/ldconfig
for unit in "${masked[@]}"; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
rm -f "$root"/etc/systemd/system/*.wants/containerd.service
# Arrays of ours are assembled by udev's own rule; nothing to be mailed to anybody.
printf 'HOMEHOST <system>\nMAILADDR root\n' >"$root/etc/mdadm/mdadm.conf"

# --- configuration
echo instore-guest >"$root/etc/hostname"
echo 6d2a7f5d4a8e4a52b3c80e9f11aa22bb >"$root/etc/machine-id"
echo "PARTUUID=$root_partuuid / ext4 defaults,noatime 0 0" >"$root/etc/fstab"
mkdir -p "$root"/etc/systemd/{journald.conf.d,system.conf.d,system}
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/rig.conf"
printf '[Manager]\nDefaultTimeoutStartSec=60s\nDefaultTimeoutStopSec=15s\nDefaultStandardOutput=journal\n' \
    >"$root/etc/systemd/system.conf.d/rig.conf"
install -D -m 755 -t "$root/usr/local/libexec" "$here"/guest/rig-identity "$here"/guest/rig-run
install -m 644 -t "$root/etc/systemd/system" "$here"/guest/*.service
for unit in rig-identity rig; do
    target=$(sed -n 's/^WantedBy=//p' "$here/guest/$unit.service")
    mkdir -p "$root/etc/systemd/system/$target.wants"
    ln -sf "../$unit.service" "$root/etc/systemd/system/$target.wants/$unit.service"
done
ln -sf multi-user.target "$root/etc/systemd/system/default.target"

# --- image: a GPT whose one partition starts at 1 MiB
image=$work/root.img
truncate -s "$root_bytes" "$image"
sfdisk --quiet "$image" <<TABLE
label: gpt
label-id: 7d0c9a52-6f0e-4a3c-9a55-0d1f5a1b2c00
start=2048, type=linux, uuid=$root_partuuid, name=root
TABLE
partition_bytes=$((root_bytes - 2 * 1024 * 1024))
mke2fs -q -t ext4 -L rig-root -m 0 -d "$root" \
    -E offset=1048576,lazy_itable_init=1,nodiscard "$image" $((partition_bytes / 1024))k
mv "$image" "$out/root.img"
echo "$stamp" >"$out/stamp"
du -h "$out/root.img" | sed 's/^/guest image: /'
