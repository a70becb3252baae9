# shellcheck shell=bash disable=SC2154 source-path=SCRIPTDIR
# The first recipe: `apply --mount /data` over 1, 4 or 8 instance disks, beside EBS disks.
. ./lib.sh
install_instore

count=$(instance_disks | wc -l)
expect 0 instore disks
mentions 'Amazon EC2 NVMe Instance Storage' 'Amazon Elastic Block Store'
expect 0 instore observe --mount /data
printf '%s' "$out" >/run/observed.json
expect 0 instore plan --mount /data
here=$out
expect 0 instore plan --mount /data --observed /run/observed.json
[ "$out" = "$here" ] || fail "the plan from the saved inventory differs"

expect 0 instore apply --mount /data
[ "$(findmnt -no FSTYPE /data)" = xfs ] || fail "no xfs on /data"
findmnt -no OPTIONS /data | grep -q noatime || fail "no noatime"
findmnt -no OPTIONS /data | grep -q prjquota || fail "no project quota"
source=$(findmnt -no SOURCE /data)
used=$(lsblk -snpo NAME,TYPE "$source" | awk '$2 == "disk" {print $1}' | tr -d ' `|└─├│-' | sort)
[ "$used" = "$(instance_disks)" ] || fail "$source is made of $used, not of $(instance_disks)"
if [ "$count" -gt 1 ]; then
    grep -q "raid0" /proc/mdstat || fail "no raid0"
    [ -e /dev/md/instore ] || fail "no /dev/md/instore"
fi
echo hello >/data/file || fail "cannot write"

uuid=$(findmnt -no UUID /data)
expect 0 instore plan --mount /data
expect 0 instore apply --mount /data
[ "$(findmnt -no UUID /data)" = "$uuid" ] || fail "a second apply made another filesystem"
[ "$(cat /data/file)" = hello ] || fail "a second apply lost the file"

expect 0 instore release
findmnt /data && fail "release left /data mounted"
grep -q '^md' /proc/mdstat && fail "release left the array running"
expect 0 instore apply --mount /data
[ "$(findmnt -no UUID /data)" = "$uuid" ] || fail "apply after release did not adopt the filesystem"
[ "$(cat /data/file)" = hello ] || fail "release lost the file"
sync
exit 0
