# shellcheck shell=bash disable=SC2154,SC2317 source-path=SCRIPTDIR
# The daemon on a node with three disks, a pool on each: what it repairs, what it tells of disks that
# are pulled, added, or fail, and what a kill and a hang do to it. Times are told, not judged here.
. ./lib.sh
install_instore
install -m 644 ./instore.service /etc/systemd/system/
# The watchdog is short, so that it can be waited for; the hang is a hook of test builds.
mkdir -p /etc/systemd/system/instore.service.d
cat >/etc/systemd/system/instore.service.d/test.conf <<'UNIT'
[Service]
WatchdogSec=10
Environment=INSTORE_HANG=/run/hang
UNIT
systemctl daemon-reload
mkdir -p /etc/instore
printf 'layout = "each"\n' >/etc/instore/config.toml

# get PATH: the body of an answer of the daemon.
get() {
    local answer
    exec 3<>/dev/tcp/127.0.0.1/9810 || return 1
    printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3
    answer=$(tr -d '\r' <&3)
    exec 3>&-
    printf '%s\n' "${answer#*$'\n\n'}"
}
# soon NAME COMMAND...: waits until it holds and tells how long that took, from $since on, in ms.
soon() {
    local name=$1
    shift
    until "$@"; do
        [ $(($(now) - since)) -lt 20000 ] || fail "$name: not within 20 s: $(get /readyz)"
        sleep 0.05
    done
    fact "$name" $(($(now) - since))
}
# answers PATH WORDS: whether the answer has a line that begins with these words.
answers() {
    local body
    body=$(get "$1") && [[ $'\n'$body == *$'\n'"$2"* ]]
}
ready() { answers /readyz ready; }
not_ready() { answers /readyz "$1"; }
metric() { answers /metrics "$1"; }
value() { get /metrics | awk -v name="$1" 'index($0, name " ") == 1 {print $NF}'; }

echo "--- the first start makes the pools, the second one finds them"
systemctl start instore || fail "it does not start"
for pool in 0 1 2; do findmnt "/data/$pool" || fail "no pool at /data/$pool"; done
since=$(now)
soon made ready
uuids=$(findmnt -rno UUID,TARGET -t xfs | sort)
before=$EPOCHREALTIME
systemctl restart instore
fact restart $((($(tr -d . <<<"$EPOCHREALTIME") - $(tr -d . <<<"$before")) / 1000))
since=$(now)
soon ready-again ready
[ "$(findmnt -rno UUID,TARGET -t xfs | sort)" = "$uuids" ] || fail "a restart changed the pools"
systemctl status instore --no-pager -n 5
systemctl status instore --no-pager | grep -q 'Status: "Pool instore-0' || fail "no live status"
expect 0 instore status
mentions 'ready' 'instore-1' '/data/2'
[ "$(stat -c '%a %U' /run/instore/instore.sock)" = '600 root' ] || fail "the socket is open to others"
nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups)
expect 1 "${nobody[@]}" instore status
mentions 'only root'
# The kernel says who asks: a mode that somebody loosened opens nothing.
chmod 666 /run/instore/instore.sock
expect 1 "${nobody[@]}" instore status
chmod 600 /run/instore/instore.sock
expect 0 instore apply
mentions 'nothing to do'
since=$(now)
soon smart metric 'instore_nvme_temperature_celsius'

echo "--- SMART is what nvme-cli prints"
disk=$(instance_disks | head -1)
serial=$(lsblk -dno SERIAL "$disk" | tr -d ' ')
nvme smart-log "$disk" -o json >/run/smart.json || fail "nvme-cli cannot read the page"
field() { sed -n "s/.*\"$1\" *: *\"\{0,1\}\([0-9]*\).*/\1/p" /run/smart.json | head -1; }
told() { value "instore_nvme_$1{disk=\"$serial/1\"}"; }
same() {
    echo "$1: $2 $3"
    [ "$2" = "$3" ] || fail "$1: nvme-cli says $2, the daemon $3"
}
same temperature $(($(field temperature) - 273)) "$(told temperature_celsius)"
same power-cycles "$(field power_cycles)" "$(told power_cycles_total)"
same unsafe-shutdowns "$(field unsafe_shutdowns)" "$(told unsafe_shutdowns_total)"
same media-errors "$(field media_errors)" "$(told media_errors_total)"
percent() { awk '{printf "%d", $1 * 100}'; }
same spare "$(field avail_spare)" "$(told spare_ratio | percent)"
same used "$(field percent_used)" "$(told used_ratio | percent)"

echo "--- a mount that somebody took away comes back"
touch /data/1/kept
since=$(now)
umount /data/1 || fail "cannot unmount"
soon unmounted-until-mounted mountpoint -q /data/1
[ -e /data/1/kept ] || fail "another filesystem came back"
since=$(now)
soon ready-after-repair ready
metric 'instore_repairs_total{pool="instore-1"} 1' || fail "the repair was not counted"

echo "--- a configuration that is refused leaves the old one in force"
printf 'layuot = "each"\n' >/etc/instore/config.toml
expect 1 instore reload
mentions 'layuot'
since=$(now)
soon refused metric 'instore_condition{type="ConfigRefused",severity="warning",object="node"} 1'
ready || fail "a refused reload made the node unready"
printf 'layout = "each"\n' >/etc/instore/config.toml
expect 0 systemctl reload instore

echo "--- a disk is pulled"
count=$(instance_disks | wc -l)
echo 'ready to lose a disk'
until [ "$(instance_disks | wc -l)" -lt "$count" ]; do sleep 0.02; done
since=$(now)
soon pulled-until-unready not_ready DiskGone
metric 'instore_condition{type="DiskGone",severity="critical"' || fail "no metric"
systemctl is-active instore || fail "the daemon died"
for pool in 0 2; do
    { echo other >"/data/$pool/other" && sync "/data/$pool/other"; } || fail "pool $pool does not go on"
done
expect 3 instore status
mentions 'NOT READY' 'DiskGone'

echo "--- a disk is added"
controllers() {
    local all=(/sys/class/nvme/nvme*)
    echo ${#all[@]}
}
before=$(controllers)
echo 'ready for a disk'
until [ "$(controllers)" -gt "$before" ]; do sleep 0.02; done
/usr/local/libexec/rig-identity again
since=$(now)
has_new() { [[ $(get /api/v1/disks) == *AWS00000000000000004* ]]; }
soon added-until-seen has_new

echo "--- a disk answers writes with errors"
repairs() { get /metrics | grep '^instore_repairs_total'; }
repairs=$(repairs)
echo 'ready for errors'
number=0
while number=$((number + 1)); do
    dd if=/dev/urandom of="/data/2/fill$number" bs=64k count=8 conv=fsync status=none 2>/run/errors ||
        break
    [ $number -lt 2000 ] || fail "no error came"
    sleep 0.1
done
cat /run/errors
# Errors of content are not the filesystem's own; those of its log are, and its log goes round.
number=0
until dmesg | grep -q 'XFS.* has been shut down'; do
    number=$((number + 1))
    [ $number -lt 500 ] || fail "the log takes no error: $(dmesg | tail -5)"
    mkdir "/data/2/directory$number"
    sync -f /data/2
done 2>/dev/null
since=$(now)
soon errors-until-told not_ready PoolFailed
journal() { journalctl -b -u instore --no-pager -o cat | grep -c "PoolFailed: pool instore-2"; }
told=$(journal)
sleep 6
[ "$(journal)" = "$told" ] || fail "it tells the same thing again and again"
[ "$(repairs)" = "$repairs" ] || fail "it looped over a dead filesystem"
echo other >/data/0/other || fail "pool 0 does not go on"

echo "--- killed, it comes back without touching the disks"
uuid=$(findmnt -rno UUID /data/0)
pid=$(systemctl show -P MainPID instore)
kill -9 "$pid"
since=$(now)
is_back() { [ "$(systemctl show -P MainPID instore)" != "$pid" ] && get /readyz >/dev/null; }
soon killed-until-back is_back 2>/dev/null
[ "$(findmnt -rno UUID /data/0)" = "$uuid" ] || fail "another filesystem"
since=$(now)
soon remembers-the-pulled-disk not_ready DiskGone

echo "--- a loop that hangs is killed by the watchdog"
restarts=$(systemctl show -P NRestarts instore)
: >/run/hang
instore reload >/dev/null 2>&1 &
until journalctl -b -u instore -o cat --no-pager | grep -q 'the loop hangs'; do sleep 0.1; done
# It hangs for good; the next one shall not.
rm /run/hang
since=$(now)
hung() { [ "$(systemctl show -P NRestarts instore)" -gt "$restarts" ]; }
until hung; do
    [ $(($(now) - since)) -lt 60000 ] || fail "the watchdog does not bite"
    sleep 0.2
done
fact watchdog $(($(now) - since))
journalctl -b -u instore --no-pager -o cat | grep -i 'watchdog timeout' || fail "it ended otherwise"
since=$(now)
soon back-after-watchdog systemctl -q is-active instore

echo "--- it stops in order, and the pools stay"
expect 0 systemctl stop instore
findmnt /data/0 || fail "stopping it took the pool away"
exit 0
