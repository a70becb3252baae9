#!/usr/bin/env python3
"""Makes the fixtures of the corpus: disk contents that are not ours.

Run as root on Debian 12, rarely; the fixtures are committed and the tests
need none of these tools:

    apt-get install --no-install-recommends xfsprogs e2fsprogs btrfs-progs f2fs-tools \\
        ntfs-3g exfatprogs dosfstools cryptsetup-bin lvm2 bcache-tools gdisk fdisk parted \\
        xorriso udftools squashfs-tools erofs-utils nilfs-tools jfsutils reiserfsprogs \\
        reiser4progs ocfs2-tools gfs2-utils drbd-utils genromfs mtd-utils mdadm
    ./capture.py [KIND...]

Every kind is a disk image in a temporary directory, made by the real tool
(`TOOLS` below) or, where no tool is to be had, byte by byte from the format's
published layout (layouts.py). Of each image only the bytes near its
signatures are kept, so that a fixture stays small enough to read; `wipefs -n`
must see in the trimmed image what it saw in the whole one. Loop devices are
used where a tool insists on a block device, never anything else.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

import layouts

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20
BUDGET = 2600  # bytes kept of an image, about 6 KB as hex
LINE = 16


def sh(command, **kwargs):
    done = subprocess.run(command, shell=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stdout[-800:]}")
    return done.stdout


def package(name):
    return name + " " + sh(f"dpkg-query -W -f '${{Version}}' {name}").strip()


# kind: (size in MiB, Debian package, command; {d} is the image, {loop} a loop
# device over it, {dir} a directory with two small files, {zero A+N} zeroes bytes)
TOOLS = {
    "xfs": (320, "xfsprogs", "mkfs.xfs -q -K {d}"),
    "xfs-v4": (320, "xfsprogs", "mkfs.xfs -q -K -m crc=0 {d}"),
    "xfs-label-nearly-ours": (320, "xfsprogs", "mkfs.xfs -q -K -L instore_old {d}"),
    "ext4-label-nearly-ours": (64, "e2fsprogs", "mkfs.ext4 -q -F -L INSTORE {d}"),
    "xfs-first-sector-zeroed": (320, "xfsprogs", "mkfs.xfs -q -K {d}; {zero 0+512}"),
    "ext2": (64, "e2fsprogs", "mkfs.ext2 -q -F -E nodiscard {d}"),
    "ext3": (64, "e2fsprogs", "mkfs.ext3 -q -F -E nodiscard {d}"),
    "ext4": (64, "e2fsprogs", "mkfs.ext4 -q -F -E nodiscard {d}"),
    "ext4-label-data": (64, "e2fsprogs", "mkfs.ext4 -q -F -L data -m 0 {d}"),
    "ext4-journal-device": (64, "e2fsprogs", "mke2fs -q -F -O journal_dev {d}"),
    "ext4-primary-zeroed": (64, "e2fsprogs", "mkfs.ext4 -q -F {d}; {zero 1024+1024}"),
    "ext4-backup-only": (64, "e2fsprogs", "mkfs.ext4 -q -F -b 1024 {d}; {zero 0+1048576}; {only 8389632+1024}"),
    "ext4-bad-checksum": (64, "e2fsprogs", "mkfs.ext4 -q -F {d}; {flip 1056}"),
    "ext4-torn": (64, "e2fsprogs", "mkfs.ext4 -q -F {d}; {zero 1152+67107712}"),
    "btrfs": (128, "btrfs-progs", "mkfs.btrfs -q -K {d}"),
    "btrfs-mirror-only": (128, "btrfs-progs", "mkfs.btrfs -q -K {d}; {only 67108864+4096}"),
    "btrfs-bad-checksum": (128, "btrfs-progs", "mkfs.btrfs -q -K {d}; {flip 65700}"),
    "f2fs": (64, "f2fs-tools", "mkfs.f2fs -q -t 0 {d}"),
    "ntfs": (64, "ntfs-3g", "mkntfs -q -Q -F -p 0 -H 0 -S 0 {d}"),
    "ntfs-torn": (64, "ntfs-3g", "mkntfs -q -Q -F -p 0 -H 0 -S 0 {d}; {zero 64+448}"),
    "exfat": (64, "exfatprogs", "mkfs.exfat -q {d} || mkfs.exfat {d}"),
    "vfat12": (4, "dosfstools", "mkfs.fat -F 12 {d}"),
    "vfat16": (64, "dosfstools", "mkfs.fat -F 16 {d}"),
    "vfat32": (64, "dosfstools", "mkfs.fat -F 32 -n EFI {d}"),
    "swap": (64, "util-linux", "mkswap {d}"),
    "swap-64k-pages": (64, "util-linux", "mkswap -p 65536 {d}"),
    "swsuspend": (64, "util-linux", "mkswap {d}; printf S1SUSPEND | dd of={d} bs=1 seek=4086 conv=notrunc"),
    "luks1": (64, "cryptsetup-bin", "printf secret | cryptsetup -q luksFormat --type luks1 --pbkdf-force-iterations 1000 {d} -"),
    "luks2": (64, "cryptsetup-bin", "printf secret | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {d} -"),
    "luks2-second-header-only": (64, "cryptsetup-bin", "printf secret | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 {d} -; {zero 0+16384}"),
    "lvm2-pv": (64, "lvm2", "pvcreate -qq -ff -y {lvm} {loop}"),
    "lvm2-vg": (64, "lvm2", "pvcreate -qq -ff -y {lvm} {loop}; vgcreate -qq -An {lvm} vg_instance {loop}"),
    "lvm2-bad-checksum": (64, "lvm2", "pvcreate -qq -ff -y {lvm} {loop}; {flip 544}"),
    "bcache-backing": (64, "bcache-tools", "make-bcache -B {loop}"),
    "bcache-cache": (64, "bcache-tools", "make-bcache -C {loop}"),
    "gpt": (64, "gdisk", "sgdisk -n 1:2048:0 -t 1:8300 -c 1:data {d}"),
    "gpt-empty": (64, "gdisk", "sgdisk -o {d}"),
    "gpt-backup-only": (64, "gdisk", "sgdisk -n 1:2048:0 -t 1:8300 {d}; {zero 0+1048576}"),
    "mbr": (64, "fdisk", "echo '2048,,83' | sfdisk -q {d}"),
    "mbr-empty": (64, "fdisk", "echo 'label: dos' | sfdisk -q {d}"),
    "mbr-protective-only": (64, "gdisk", "sgdisk -o {d}; {only 0+512}"),
    "mac-partition-map": (64, "parted", "parted -s {d} mklabel mac"),
    "bsd-disklabel": (64, "parted", "parted -s {d} mklabel bsd"),
    "sun-disklabel": (64, "parted", "parted -s {d} mklabel sun"),
    "sgi-volume-header": (64, "parted", "parted -s {d} mklabel dvh"),
    "iso9660": (64, "xorriso", "xorriso -outdev {d} -volid BACKUP -map {dir} / -commit; truncate -s 64M {d}"),
    "udf": (64, "udftools", "mkudffs --label=backup {d}"),
    "squashfs": (64, "squashfs-tools", "mksquashfs {dir} {d}.s -quiet -no-progress; dd if={d}.s of={d} conv=notrunc"),
    "erofs": (64, "erofs-utils", "mkfs.erofs {d}.s {dir}; dd if={d}.s of={d} conv=notrunc"),
    "romfs": (64, "genromfs", "genromfs -V backup -d {dir} -f {d}.s; dd if={d}.s of={d} conv=notrunc"),
    "cramfs": (64, "util-linux-extra", "mkfs.cramfs {dir} {d}.s; dd if={d}.s of={d} conv=notrunc"),
    "ubifs": (64, "mtd-utils", "mkfs.ubifs -r {dir} -m 2048 -e 126976 -c 100 -o {d}.s; dd if={d}.s of={d} conv=notrunc"),
    "nilfs2": (160, "nilfs-tools", "mkfs.nilfs2 -q -K -f {d}"),
    "nilfs2-tail-only": (160, "nilfs-tools", "mkfs.nilfs2 -q -K -f {d}; {zero 0+1048576}"),
    "jfs": (64, "jfsutils", "mkfs.jfs -q {d}"),
    "reiserfs": (64, "reiserfsprogs", "mkreiserfs -q -f -f {d}"),
    "reiser4": (64, "reiser4progs", "mkfs.reiser4 -y -f {d}"),
    "ocfs2": (256, "ocfs2-tools", "mkfs.ocfs2 -q -F -x -N 1 -b 4096 -C 4096 -M local {d}"),
    "gfs2": (256, "gfs2-utils", "mkfs.gfs2 -q -O -K -p lock_nolock -j 1 -J 8 {d}"),
    "drbd": (64, "drbd-utils", "drbdmeta --force 1 v08 {loop} internal create-md"),
    "minix": (64, "util-linux-extra", "mkfs.minix -3 {d}"),
    "minix-v1": (16, "util-linux-extra", "mkfs.minix -1 {d}"),
    "bfs": (64, "util-linux-extra", "mkfs.bfs {loop}"),
    "ext4-and-old-gpt": (64, "e2fsprogs", "sgdisk -n 1:2048:0 {d}; {zero 0+1048576}; mkfs.ext4 -q -F -E nodiscard {d} 60M"),
    "tar-archive": (64, "tar", "tar --mtime=@0 --owner=0 --group=0 -cf {d}.s -C {dir} .; dd if={d}.s of={d} conv=notrunc"),
    "sqlite-database": (64, "python3", "python3 -c \"import sqlite3;c=sqlite3.connect('{d}.s');c.execute('create table t(a)');c.commit()\"; dd if={d}.s of={d} conv=notrunc"),
}
LVM = "--config 'devices{{filter=[\"a|{0}|\",\"r|.*|\"] scan=\"/dev\"}} global{{event_activation=0}}' --devices {0}"
# LVM's devices file is left alone by --devices; bytes an image needs beyond the windows around its signatures
KEEP = {
    "lvm2-vg": [(512, 2048), (4096, 2048)],
    "udf": [(0x8000, 0x2000), (0x20000, 0x9000), (0x80000, 0x800), (0x40000, 0x6000)],
    "mac-partition-map": [(0, 2048)],
    "btrfs-mirror-only": [(67108864, 4096)],
    "ext4-backup-only": [(8389632, 1024)],
    "jfs": [(32768, 4096)],
    "ntfs": [(0, 512), (16384, 512), (16384 + 3 * 1024, 1024)],
    "gpt-backup-only": [(-33 * 512, 33 * 512)],
    "ext4-and-old-gpt": [(1024, 1024), (-33 * 512, 33 * 512)],
    "luks2-second-header-only": [(0x4000, 4096)],
}
# where wipefs knows less than instore
SAYS = {
    "claim-with-wrong-hash": [("claim", [64 * MIB - 4096])],
    "gpt-4k-sectors": [("gpt", [4096])],
    # without a flag that its bindings lack, libblkid does not say where this one is
    "sun-disklabel": [("sun", [0, 508])],
}


class Image:
    def __init__(self, path, mib):
        self.path, self.size = path, mib * MIB
        with open(path, "wb") as out:
            out.truncate(self.size)

    def patch(self, offset, data):
        with open(self.path, "r+b") as out:
            out.seek(offset)
            out.write(data)

    def read(self, offset, length):
        with open(self.path, "rb") as src:
            src.seek(offset)
            return src.read(length)

    def signatures(self):
        """(offset, type) of everything wipefs would remove."""
        out = sh(f"wipefs -n -J {self.path}")
        found = json.loads(out)["signatures"] if out.strip() else []
        return sorted((int(s["offset"], 16), s["type"]) for s in found)

    def nonzero_lines(self, start, length):
        end = min(start + length, self.size)
        start = max(0, start) // LINE * LINE
        length = end - start
        data = self.read(start, length)
        for at in range(0, len(data), LINE):
            if data[at:at + LINE].strip(b"\0"):
                yield start + at, data[at:at + LINE]


def make_with_tool(image, command, scratch):
    loop = None
    files = os.path.join(scratch, "files")
    os.makedirs(files, exist_ok=True)
    for name in ("one.txt", "two.txt"):
        with open(os.path.join(files, name), "w") as out:
            out.write("somebody's data\n" * 8)
    if "{loop}" in command:
        loop = sh(f"losetup --show -f {image.path}").strip()
    try:
        for step in command.split("; "):
            edit = re.fullmatch(r"\{(zero|only|flip) (\d+)(?:\+(\d+))?\}", step)
            if edit:
                edit_image(image, edit[1], int(edit[2]), int(edit[3] or 0))
                continue
            step = step.replace("{lvm}", LVM.format(loop)).replace("{loop}", loop or "")
            sh(step.replace("{dir}", files).replace("{d}", image.path))
    finally:
        if loop:
            sh(f"sync {loop}; losetup -d {loop}")
    with open(image.path, "r+b") as out:
        out.truncate(image.size)


def edit_image(image, what, offset, length):
    if what == "zero":
        image.patch(offset, bytes(length))
    elif what == "flip":
        image.patch(offset, bytes([image.read(offset, 1)[0] ^ 0xFF]))
    elif what == "only":
        kept = image.read(offset, length)
        with open(image.path, "wb") as out:
            out.truncate(image.size)
        image.patch(offset, kept)


def trim(image, kind, written):
    """The bytes worth keeping: all that was written by hand; of a tool's image
    what is around its signatures, then both ends."""
    windows = [(at if at >= 0 else image.size + at, length) for at, length in KEEP.get(kind, [])]
    windows += [(at // 512 * 512 - 512, 1536) for at, _ in image.signatures()]
    if written:
        windows = [(at if at >= 0 else image.size + at, len(data)) for at, data in written]
    else:
        windows += [(0, 4096), (image.size - 4096, 4096), (65536, 1024), (4096, 8192)]
    lines = {}
    for start, length in windows:
        for at, data in image.nonzero_lines(start, length):
            if written or len(lines) * LINE < BUDGET:
                lines[at] = data
    return as_runs(lines)


def as_runs(lines):
    runs = []
    for at in sorted(lines):
        if runs and at - (runs[-1][0] + len(runs[-1][1])) <= 2 * LINE:
            last_at, last = runs[-1]
            last += bytes(at - last_at - len(last)) + lines[at]
        else:
            runs.append((at, bytearray(lines[at])))
    return [(at, bytes(data)) for at, data in runs]


def first_nonzero(image):
    with open(image.path, "rb") as src:
        base = 0
        while chunk := src.read(MIB):
            if rest := chunk.lstrip(b"\0"):
                return base + len(chunk) - len(rest)
            base += len(chunk)


def write_fixture(kind, image, made, command, runs, expect):
    lines = [f'kind = "{kind}"', f'made = "{made}"', f"how = '''{command}'''", f"size = {image.size}", ""]
    for word, offsets in expect:
        lines += ["[[expect]]", f'word = "{word}"', f"offsets = {offsets}", ""]
    for run in runs:
        lines.append("[[run]]")
        if isinstance(run, dict):
            for key, value in run.items():
                lines.append(f"{key} = {json.dumps(value)}")
        else:
            at, data = run
            lines.append(f"at = {at - image.size if at > image.size // 2 else at}")
            rows = [data[i:i + 32].hex() for i in range(0, len(data), 32)]
            lines.append("hex = '''" + ("\n" if len(rows) > 1 else "") + "\n".join(rows) + "'''")
        lines.append("")
    with open(os.path.join(HERE, kind + ".toml"), "w") as out:
        out.write("\n".join(lines).rstrip() + "\n")


def capture(kind, scratch):
    path = os.path.join(scratch, "disk")
    if kind in TOOLS:
        mib, pkg, command = TOOLS[kind]
        image, made = Image(path, mib), package(pkg)
        make_with_tool(image, command, scratch)
        image_runs = None
    else:
        mib, command, image_runs = layouts.GENERATED[kind]()
        image, made = Image(path, mib), "generated"
        apply_runs(image, image_runs)
    seen = image.signatures()
    runs = image_runs
    if runs is None or not any(isinstance(r, dict) for r in runs):
        runs = trim(image, kind, image_runs)
        image = Image(path, mib)
        apply_runs(image, runs)
    left = image.signatures()
    if {t for _, t in seen} != {t for _, t in left}:
        raise RuntimeError(f"{kind}: trimmed too much: {seen} became {left}")
    expect = {}
    for at, name in left:
        expect.setdefault(name, []).append(at)
    # boot sectors of filesystems and the protective half of a GPT end like an MBR
    if len(expect) > 1:
        expect.pop("dos", None)
        expect.pop("PMBR", None)
    expect = SAYS.get(kind) or list(expect.items()) or [("data", [first_nonzero(image)])]
    write_fixture(kind, image, made, command, runs, expect)
    size = os.path.getsize(os.path.join(HERE, kind + ".toml"))
    print(f"{kind:36} {size:6} B  " + ", ".join(f"{w}@{o}" for w, o in expect), flush=True)


def apply_runs(image, runs):
    for run in runs:
        if isinstance(run, dict):
            at = run["at"] if run["at"] >= 0 else image.size + run["at"]
            image.patch(at, layouts.expand(run))
        else:
            image.patch(run[0] if run[0] >= 0 else image.size + run[0], run[1])


def main():
    kinds = sys.argv[1:] or list(TOOLS) + list(layouts.GENERATED)
    failed = []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as scratch:
            try:
                capture(kind, scratch)
            except Exception as err:  # the others are still worth making
                failed.append(kind)
                print(f"{kind:36} FAILED {err}", flush=True)
    if failed:
        sys.exit(f"failed: {' '.join(failed)}")


if __name__ == "__main__":
    main()
