# shellcheck shell=bash disable=SC2154 source-path=SCRIPTDIR
# What goes wrong on a node, one after the other: a clear error each, and nothing lost.
. ./lib.sh
install_instore

again() {
    expect 0 instore release
    blank_disks
}
# stand_in PROGRAM: the script on standard input takes the place of the program, except that
# questions for the version go to the real one.
stand_in() {
    cp -f "/usr/sbin/$1" "/run/real-$1"
    {
        echo '#!/bin/sh'
        echo "[ \"\$1\" != -V ] || exec /run/real-$1 -V"
        cat
    } >"/run/stand-in-$1"
    chmod 755 "/run/stand-in-$1"
    mount --bind "/run/stand-in-$1" "/usr/sbin/$1"
}

echo "== a configuration with a typo"
mkdir -p /etc/instore
printf 'mount = "/data"\nlayuot = "each"\n' >/etc/instore/config.toml
expect 2 instore apply
mentions 'layuot' 'line 2|2:|2 \|'
rm /etc/instore/config.toml

echo "== a mount point that is a file, a symlink, out of bounds"
echo precious >/file
ln -s /etc /link
for target in /file /link /etc; do
    instore apply --mount "$target" >/run/out 2>&1
    code=$?
    cat /run/out
    case $code in 2 | 3) ;; *) fail "--mount $target ended with $code" ;; esac
    grep -q "$target" /run/out || fail "the error does not name $target"
done
[ "$(cat /file)" = precious ] || fail "the file is gone"
[ -e /etc/passwd ] || fail "/etc is gone"

echo "== raid10 with too few disks"
expect 3 instore apply --mount /data --layout raid10
mentions raid10 4
expect 3 instore apply --mount /data --layout raid10 --on-failure continue

echo "== mkfs fails"
stand_in mkfs.xfs <<'SH'
echo 'mkfs.xfs: no such luck' >&2
exit 1
SH
expect 1 instore apply --mount /data
mentions 'no such luck'
umount /usr/sbin/mkfs.xfs
findmnt /data && fail "mounted without a filesystem"
expect 0 instore apply --mount /data
again

echo "== two applies at once"
stand_in mkfs.xfs <<'SH'
echo formatting >>/run/formatted
sleep 3
exec /run/real-mkfs.xfs "$@"
SH
instore apply --mount /data >/run/first 2>&1 &
first=$!
until [ -e /run/formatted ] || ! kill -0 $first 2>/dev/null; do sleep 0.1; done
expect 5 instore apply --mount /data --lock-timeout 0
mentions "$first"
expect 0 instore apply --mount /data --lock-timeout 60
wait $first || fail "the first apply failed: $(cat /run/first)"
[ "$(wc -l </run/formatted)" = 1 ] || fail "formatted more than once"
umount /usr/sbin/mkfs.xfs
again

echo "== a busy disk"
busy=$(instance_disks | tail -1)
mke2fs -q -F -t ext4 -E nodiscard "$busy" 200m
mkdir -p /mnt/busy
mount "$busy" /mnt/busy
echo theirs >/mnt/busy/file
instore apply --mount /data >/run/out 2>&1
code=$?
cat /run/out
[ "$code" = 3 ] || fail "a busy disk ended with $code"
grep -qE "mounted|/mnt/busy" /run/out || fail "the reason does not say that the disk is mounted"
[ "$(cat /mnt/busy/file)" = theirs ] || fail "the busy disk lost its file"
umount /mnt/busy
expect 3 instore apply --mount /data
mentions ext4
findmnt /data && umount /data
expect 0 instore release
blank_disks

echo "== the root volume is full"
make_tree /var/lib/kept 20
before=$(picture_of /var/lib/kept)
fallocate -l "$(df --output=avail -B1 / | tail -1)" /filler 2>/dev/null
cat /dev/zero >>/filler 2>/dev/null
instore apply --mount /data --bind /var/lib/kept >/run/out 2>&1
code=$?
cat /run/out
# Nothing has to be written to the root volume for a bind, so this may well succeed.
case $code in 0 | 1 | 3) ;; *) fail "a full root volume ended with $code" ;; esac
[ "$(picture_of /var/lib/kept)" = "$before" ] || fail "the full root volume cost content"
rm /filler
expect 0 instore apply --mount /data --bind /var/lib/kept
[ "$(picture_of /var/lib/kept)" = "$before" ] || fail "content was lost"
[ "$(findmnt -no FSTYPE /var/lib/kept)" = xfs ] || fail "not bound to the pool"
expect 0 instore release
findmnt /var/lib/kept && fail "release left the bind"
[ "$(picture_of /var/lib/kept)" = "$before" ] || fail "release lost content"
exit 0
