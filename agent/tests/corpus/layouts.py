"""Contents made byte by byte, from the published layout of each format.

`GENERATED` maps a kind to a function that returns (size in MiB, what it is,
runs). A run is (offset, bytes), a negative offset counting from the end, or a
dict with `at`, `len` and one of `text` (repeated), `byte` (hex, repeated) or
`random` (seed), which the fixture keeps in that short form.
"""

import struct
import uuid

GENERATED = {}
MIB = 1 << 20
SIZE = 64 * MIB
UUID = uuid.UUID("6f1d2c3b-4a59-4687-9786-a5b4c3d2e1f0").bytes


def kind(name, what, mib=64):
    def register(make):
        GENERATED[name] = lambda: (mib, what, make())
        return make
    return register


def simple(name, what, *runs):
    GENERATED[name] = lambda: (64, what, list(runs))


def expand(run):
    """The bytes of a run in its short form; corpus.rs does the same."""
    if "text" in run:
        unit = run["text"].encode()
    elif "byte" in run:
        unit = bytes.fromhex(run["byte"])
    else:
        return xorshift(run["random"], run["len"])
    return (unit * (run["len"] // len(unit) + 1))[:run["len"]]


def xorshift(seed, length):
    mask, out = (1 << 64) - 1, bytearray()
    while len(out) < length:
        seed ^= (seed << 13) & mask
        seed ^= seed >> 7
        seed ^= (seed << 17) & mask
        out += struct.pack("<Q", seed)
    return bytes(out[:length])


def at(fields, length):
    """`length` bytes with {offset: bytes} written into them."""
    out = bytearray(length)
    for offset, data in fields.items():
        out[offset:offset + len(data)] = data
    return bytes(out)


def u16(v): return struct.pack("<H", v)
def u32(v): return struct.pack("<I", v)
def u64(v): return struct.pack("<Q", v)
def b16(v): return struct.pack(">H", v)
def b32(v): return struct.pack(">I", v)
def b64(v): return struct.pack(">Q", v)


def crc32c(data, crc=0xFFFFFFFF):
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


# ---- md: both generations of superblock, at all four places ----

def md1(minor, name, level=0, feature=0):
    """Superblock 1.x: 256 bytes, then one role of two bytes for each device."""
    sectors = SIZE // 512
    place = {0: (sectors - 16) & ~7, 1: 0, 2: 8}[minor]
    data_at = 0 if minor == 0 else 2048
    block = at({
        0: u32(0xA92B4EFC), 4: u32(1), 8: u32(feature), 16: UUID, 32: name.encode(),
        64: u64(1700000000), 72: u32(level), 80: u64(sectors - 4096), 88: u32(1024), 92: u32(2),
        128: u64(data_at), 136: u64(sectors - 4096), 144: u64(place), 168: UUID[::-1],
        192: u64(1700000000), 200: u64(17), 208: u64((1 << 64) - 1), 220: u32(128), 256: u16(0) + u16(1),
    }, 256 + 256)
    total = sum(struct.unpack("<128I", block))
    return place * 512, at({0: block, 216: u32(((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF)}, 512)


for _minor, _kind, _name, _level in (
        (0, "md-1.0-tail", "web01:data", 1), (1, "md-1.1", "web01:data", 5), (2, "md-1.2", "web01:data", 0),
        (2, "md-1.2-kubernetes", "ip-10-0-3-7:kubernetes", 0), (2, "md-1.2-name-is-nearly-ours", "any:instore2", 0)):
    kind(_kind, f"md superblock 1.{_minor}, array {_name}, checksum right")(
        lambda m=_minor, n=_name, l=_level: [md1(m, n, l)])


@kind("md-1.2-bad-checksum", "md superblock 1.2 with one byte of its name changed")
def _():
    where, block = md1(2, "web01:data")
    return [(where, at({0: block, 33: b"X"}, 512))]


@kind("md-0.90-tail", "md superblock 0.90, 64 KiB before the end, checksum right")
def _():
    words = [0] * 1024
    words[0:8] = [0xA92B4EFC, 0, 90, 0, 0, 0x6F1D2C3B, 1700000000, 1]
    words[8:13] = [SIZE // 1024 - 64, 2, 2, 0, 0]
    words[13:16] = [0x4A594687, 0x9786A5B4, 0xC3D2E1F0]
    words[32:39] = [1700000000, 1, 2, 2, 0, 0, 0]
    words[39:41] = [17, 0]
    total = sum(words)
    words[38] = ((total & 0xFFFFFFFF) + (total >> 32)) & 0xFFFFFFFF
    return [(-65536, struct.pack("<1024I", *words))]


# ---- ZFS: four labels of 256 KiB, two at each end ----

def zfs_label():
    def pair(name, kind_, value):
        pad = name.encode() + bytes(-len(name) % 4)
        body = b32(len(name)) + pad + b32(kind_) + b32(1) + value
        return b32(len(body) + 8) + b32(len(body) + 8) + body
    text = lambda s: b32(len(s)) + s.encode() + bytes(-len(s) % 4)
    config = b32(0x01010000) + b32(0) + b32(1)
    config += pair("version", 8, b64(5000)) + pair("name", 9, text("tank"))
    config += pair("pool_guid", 8, b64(0x1122334455667788)) + pair("guid", 8, b64(0x8877665544332211)) + bytes(8)
    uberblocks = [(131072 + 1024 * i, u64(0xBAB10C) + u64(5000) + u64(4 + i) + u64(7) + u64(1700000000)) for i in range(8)]
    return [(16384, config)] + uberblocks


@kind("zfs", "ZFS: the four labels of a pool called tank, eight uberblocks each")
def _():
    return [(base + o, d) for base in (0, 262144, -524288, -262144) for o, d in zfs_label()]


@kind("zfs-tail-only", "ZFS: only the two labels at the end are left")
def _():
    return [(base + o, d) for base in (-524288, -262144) for o, d in zfs_label()]


# ---- RAID sets of controllers, all at the end of the disk ----

simple("isw-raid-tail", "Intel Matrix RAID: signature in the last sector but one",
       (-1024, b"Intel Raid ISM Cfg Sig. 1.3.00\0\0" + u32(0x1234) + u32(480)))
simple("lsi-raid-tail", "LSI MegaRAID (old): $XIDE$ in the last sector", (-512, b"$XIDE$\0\0"))
simple("promise-raid-tail", "Promise FastTrak: 63 sectors before the end", (-63 * 512, b"Promise Technology, Inc."))


@kind("ddf-raid-tail", "SNIA DDF: anchor in the last sector, primary header 16 sectors before it")
def _():
    head = lambda kind_: at({0: b32(0xDE11DE11), 8: b"LSI     " + bytes(16), 32: b"01.02.00", 40: b32(1),
                             96: b64(SIZE // 512 - 17), 104: b64(0xFFFFFFFFFFFFFFFF), 112: kind_}, 512)
    return [(-17 * 512, head(b"\1")), (-512, head(b"\0"))]


# ---- filesystems and members that Debian has no maker for ----

simple("swap-old", "swap of Linux 2.0: SWAP-SPACE at the end of the first page", (0, b"\xff" * 64), (4086, b"SWAP-SPACE"))
simple("ceph-bluestore", "Ceph BlueStore label", (0, b"bluestore block device\n6f1d2c3b-4a59-4687-9786-a5b4c3d2e1f0\n"))
simple("vmfs", "VMFS 5: volume information at 1 MiB, filesystem at 2 MiB",
       (MIB, b"\x0d\xd0\x01\xc0" + u32(3) + bytes(122) + UUID), (2 * MIB, b"\x5e\xf1\xab\x2f" + u32(14) + b"\1" + UUID + u32(0) + b"datastore1"))
simple("bitlocker", "BitLocker of Windows 7 and later: boot sector and FVE metadata at 64 KiB",
       (0, at({0: b"\xeb\x58\x90-FVE-FS-", 160: uuid.UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001").bytes_le,
               176: u64(65536), 184: u64(131072), 192: u64(196608), 510: b"\x55\xaa"}, 512)),
       (65536, b"-FVE-FS-" + u16(64) + u16(2)))
simple("apfs", "APFS container superblock",
       (0, at({0: u64(0x1111222233334444), 8: u64(1), 16: u64(9), 24: u16(1), 26: u16(0x8000), 32: b"NXSB",
               36: u32(4096), 40: u64(SIZE // 4096), 72: UUID}, 128)))
simple("hfs", "HFS master directory block",
       (1024, at({0: b"BD", 12: b16(3), 18: b16(16128), 20: b32(4096), 28: b16(8), 36: b"\6Backup"}, 162)))
simple("hfsplus", "HFS+ volume header, at the front and in the last sector but one",
       (1024, at({0: b"H+", 2: b16(4), 8: b"10.0", 40: b32(4096), 44: b32(16384), 48: b32(9000)}, 512)),
       (-1024, at({0: b"H+", 2: b16(4), 8: b"10.0", 40: b32(4096), 44: b32(16384), 48: b32(9000)}, 512)))
simple("hpfs", "HPFS: boot sector, superblock at sector 16, spare block at 17",
       (0, at({0: b"\xeb\x3c\x90OS2 20.0", 38: b"\x28", 510: b"\x55\xaa"}, 512)),
       (8192, at({0: b"\x49\xe8\x95\xf9\xc5\xe9\x53\xfa", 8: b"\2\2"}, 64)), (8704, b"\x49\x18\x91\xf9\xc5\x29\x52\xfa"))
simple("ufs2", "UFS2 superblock at 64 KiB",
       (65536, at({8: u32(24), 48: u32(32768), 52: u32(4096), 144: u32(7) + u32(9), 1372: u32(0x19540119)}, 1376)))
simple("oracle-asm", "Oracle ASM disk header", (0, at({0: b"\1\x82\1\1", 32: b"ORCLDISKDATA01", 72: b"DATA_0000"}, 128)))
simple("vdo", "VDO geometry block", (0, b"dmvdo001" + u32(5) + u32(0) + u64(53) + u32(7) + u64(99) + UUID))
simple("lvm1-pv", "LVM1 physical volume", (0, at({0: b"HM", 2: u16(2), 44: b"Zk9qLrXw3fG7hT2mN8pVcB4yS6dJ1aEu"}, 512)))
simple("luks-magic-only", "LUKS magic with nothing behind it", (0, b"LUKS\xba\xbe"))
simple("xfs-garbage", "XFS magic, the rest of the superblock is garbage", (0, b"XFSB" + xorshift(11, 508)))
simple("btrfs-magic-only", "btrfs magic in an otherwise empty superblock", (65536 + 64, b"_BHRfS_M"))
simple("gpt-4k-sectors", "GPT header as a disk with 4096-byte sectors has it, no protective MBR",
       (4096, at({0: b"EFI PART", 8: u32(0x10000) + u32(92), 24: u64(1) + u64(16383) + u64(6) + u64(16378) + UUID}, 92)))
simple("bcachefs", "bcachefs superblock at 4 KiB",
       (4096, at({16: u16(1300), 24: bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), 40: UUID, 56: UUID[::-1]}, 128)))


@kind("stratis", "Stratis: static header in sectors 1 and 9, checksum right")
def _():
    body = at({0: b"!Stra0tis\x86\xff\x02^\x41rh", 16: u64(SIZE // 512), 28: b"0123456789abcdef0123456789abcdef",
               60: b"fedcba9876543210fedcba9876543210", 92: u64(2048), 100: u64(3), 116: u64(1700000000)}, 508)
    sector = u32(crc32c(body)) + body
    return [(512, sector), (9 * 512, sector)]


# ---- data with no signature at all ----

simple("text-in-first-mib", "one line of text at 700000, no signature", (700000, b"customer 4711 paid in cash\n"))
simple("text-in-last-mib", "one line of text 4097 bytes before the end", (-4097, b"customer 4711 paid in cash\n"))
simple("one-byte-first-mib", "one nonzero byte in the first MiB, all else zero", (524287, b"\1"))
simple("one-byte-last-mib", "one nonzero byte in the last MiB, all else zero", (-777777, b"\x80"))
simple("very-first-byte", "the first byte of the disk, all else zero", (0, b"\1"))
simple("very-last-byte", "the last byte of the disk, all else zero", (-1, b"\1"))
simple("last-byte-of-first-mib", "the last byte that the first MiB has", (MIB - 1, b"\1"))
simple("first-byte-of-last-mib", "the first byte that the last MiB has", (-MIB, b"\1"))
simple("claim-with-wrong-hash", "what looks like instore's own claim record, over somebody's text; its hash is wrong",
       (524288, b"customer 4711 paid in cash\n"), (-MIB // 2, b'INSTORE-CLAIM-1\n{"version":1}\n' + b"0" * 64))
# 1 MiB of 64 MiB is one part in 64: a sample of 1,024 blocks drawn evenly has
# 16 of them inside, and one drawn freely misses all with 1e-7.
simple("text-in-the-middle", "1 MiB of text at 31 MiB (a 64th of the disk), no signature",
       {"at": 31 * MIB + 12345, "len": MIB, "text": "2024-05-01T12:00:00Z order=4711 state=paid amount=12.50\n"})
# 256 KiB is four times the distance of 1,024 evenly drawn blocks (64 KiB).
simple("narrow-data-in-the-middle", "256 KiB at 20 MiB, four strata of a sample of 1,024 blocks",
       {"at": 20 * MIB + 4096 * 3, "len": 262144, "random": 21})
simple("random-all-over", "an encrypted disk without header: random from end to end", {"at": 0, "len": SIZE, "random": 4711})
simple("all-ff", "erased flash that reads as ones", {"at": 0, "len": SIZE, "byte": "ff"})
simple("last-quarter-written", "the last quarter filled, the rest zero", {"at": 48 * MIB, "len": 16 * MIB, "byte": "a5"})
