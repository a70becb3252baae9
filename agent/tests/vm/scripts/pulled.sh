# shellcheck shell=bash disable=SC2154 source-path=SCRIPTDIR
# A disk is pulled while apply formats the array: mkfs waits until the disk is gone.
. ./lib.sh
install_instore
make_tree /var/lib/kept 20
before=$(picture_of /var/lib/kept)

cp /usr/sbin/mkfs.xfs /run/real-mkfs.xfs
cat >/run/stand-in <<'SH'
#!/bin/sh
[ "$1" != -V ] || exec /run/real-mkfs.xfs -V
: >/run/formatting
waited=0
while [ ! -e /run/pulled ] && [ "$waited" -lt 300 ]; do
    waited=$((waited + 1))
    sleep 0.1
done
exec /run/real-mkfs.xfs "$@"
SH
chmod 755 /run/stand-in
mount --bind /run/stand-in /usr/sbin/mkfs.xfs

disks=$(instance_disks | wc -l)
instore apply --mount /data --bind /var/lib/kept >/run/out 2>&1 &
apply=$!
until [ -e /run/formatting ] || ! kill -0 $apply 2>/dev/null; do sleep 0.1; done
[ -e /run/formatting ] || fail "apply ended before mkfs: $(cat /run/out)"
echo 'ready to lose a disk'
waited=0
while [ "$(instance_disks | wc -l)" = "$disks" ]; do
    waited=$((waited + 1))
    [ $waited -lt 200 ] || fail "the disk is still there"
    sleep 0.1
done
: >/run/pulled
wait $apply
code=$?
cat /run/out
[ $code = 1 ] || [ $code = 3 ] || [ $code = 4 ] || fail "apply with a pulled disk ended with $code"
umount /usr/sbin/mkfs.xfs
findmnt /data && fail "mounted in spite of the lost disk"
findmnt /var/lib/kept && fail "bound in spite of the lost disk"
[ "$(picture_of /var/lib/kept)" = "$before" ] || fail "content was lost"
grep -qiE 'error|failed|gone|vanished|refused' /run/out || fail "no word about it"
grep -qi panicked /run/out && fail "panicked"
exit 0
