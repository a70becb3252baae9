# shellcheck shell=bash disable=SC2154 source-path=SCRIPTDIR
# Benchmarks on a node with one disk: on the empty disk itself, which is empty again afterwards, and
# the standard suite by the daemon on the pool, judged by an instance type that promises more.
. ./lib.sh
install_instore
install -m 644 ./instore.service /etc/systemd/system/
systemctl daemon-reload
disk=$(instance_disks | head -n 1)
root=$(findmnt -no SOURCE /)

echo "--- devices that hold something are refused, and an empty one is given back empty"
for device in "$root" "$(lsblk -dno PATH,MODEL | awk '/Elastic Block Store/ {print $1; exit}')"; do
    expect 3 instore bench --name=t --filename="$device" --size=16m --rw=write --destructive
done
expect 3 instore bench --name=t --filename="$disk" --size=16m --rw=write
mentions destructive
instore bench --name=t --filename="$disk" --size=32m --rw=randrw --direct=1 --ioengine=io_uring \
    --iodepth=8 --io_size=8m --destructive --output-format=json --output=/tmp/result.json ||
    fail "the benchmark of $disk failed"
grep -q '"jobname"' /tmp/result.json || fail "no result"
instore probe "$disk" || fail "$disk is not empty after its benchmark"

echo "--- the daemon measures its pool on request"
mkdir -p /etc/instore
printf 'mount = "/data"\n' >/etc/instore/config.toml
systemctl start instore || fail "it does not start"
findmnt /data || fail "no pool"
since=$(now)
until instore bench --suite --quick --pool instore --instance-type i4i.large >/tmp/suite 2>/tmp/said; do
    # Its disks have to be read twice before it is known whether they are busy.
    grep -qE 'not known yet|busy' /tmp/said || fail "the suite failed: $(cat /tmp/said)"
    [ $(($(now) - since)) -lt 60000 ] || fail "the pool stays busy: $(cat /tmp/said)"
    sleep 1
done
cat /tmp/suite /tmp/said
grep -q 'rand-read-4k' /tmp/suite || fail "no table"
grep -q 'i4i.large promises' /tmp/suite || fail "no verdict"
[ ! -e /data/.instore/bench ] || fail "its files are still there"

get() {
    local answer
    exec 3<>/dev/tcp/127.0.0.1/9810 || return 1
    printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3
    answer=$(tr -d '\r' <&3)
    exec 3>&-
    printf '%s\n' "${answer#*$'\n\n'}"
}
# has PATH WORDS: the answer has them, soon: what was kept is read at the first look.
has() {
    local since
    since=$(now)
    until get "$1" | grep -q -- "$2"; do
        [ $(($(now) - since)) -lt 20000 ] || fail "nothing about $2 at $1"
        sleep 0.1
    done
}
told() {
    has /metrics '^instore_bench_iops{.*job="rand-read-4k"'
    has /api/v1/bench '"rand-write-4k"'
    has /api/v1/conditions PoolBelowSpecification
    instore status
}
echo "--- and tells of it, after a restart as well"
told
systemctl restart instore
told
exit 0
