# shellcheck shell=bash disable=SC2154,SC2317 source-path=SCRIPTDIR
# Times `instore apply --mount /data` against the same mdadm, mkfs and mount typed by hand, in turn,
# on the same disks. Before each run the disks are blank and the modules of the filesystem and the
# array are not loaded. The file `rounds` in the payload says how often. A second apply is timed beside
# /bin/true: what the emulation takes to start anything.
# shellcheck source=../../agent/tests/vm/scripts/lib.sh
. ./lib.sh
install_instore
rounds=$(cat ./rounds)
mapfile -t disks < <(instance_disks)

# The clock and the process counter of the kernel; processes of udev count as well, for both sides.
started_processes() {
    awk '/^processes/ {print $2}' /proc/stat
}
# timed NAME COMMAND...: two facts, microseconds and processes started.
timed() {
    local name=$1 before began ended
    shift
    before=$(started_processes)
    began=${EPOCHREALTIME/./}
    "$@" >/run/out 2>&1 || fail "$name: $(cat /run/out)"
    ended=${EPOCHREALTIME/./}
    # The two shells that read the counter are not the command's.
    fact "$name" $((ended - began))
    fact "$name.processes" $(($(started_processes) - before - 2))
}
floor() {
    local device=${disks[0]}
    if [ ${#disks[@]} -gt 1 ]; then
        device=/dev/md/floor
        mdadm --create "$device" --run --level=0 --chunk=256 --homehost=any --metadata=1.2 \
            --raid-devices=${#disks[@]} "${disks[@]}" || return
    fi
    mkfs.xfs -q -K "$device" && mkdir -p /data && mount -o noatime,prjquota "$device" /data
}
bare() {
    ! mountpoint -q /data || umount /data || fail "cannot unmount"
    udevadm settle
    local array
    for array in /dev/md[0-9]*; do
        [ ! -b "$array" ] || mdadm --quiet --stop "$array" || fail "cannot stop $array"
    done
    blank_disks
    local module
    for module in xfs raid0 md_mod; do
        ! grep -q "^$module " /proc/modules || rmmod $module || fail "cannot unload $module"
    done
    sync
    udevadm settle
}
take_floor() {
    bare
    timed "${1}floor" floor
}
take_apply() {
    bare
    timed "${1}apply" instore apply --mount /data
    udevadm settle
    for _ in 1 2 3; do
        timed "${1}again" instore apply --mount /data
        timed "${1}true" /bin/true
    done
}

# Once for the page cache, not counted.
take_floor warm-
take_apply warm-
for ((round = 1; round <= rounds; round++)); do
    if ((round % 2)); then take_floor ''; take_apply ''; else take_apply ''; take_floor ''; fi
done
exit 0
