# shellcheck shell=bash
# What the guest scripts share: checks that stop, facts for the host, and pictures of a node's state
# that can be compared. Sourced from the unpacked payload.
set -u
export LC_ALL=C

fail() {
    echo "FAILED: $*"
    journalctl -b -q --no-pager -o short-monotonic -n 40 | grep -v 'loading plugin' | cut -c1-250
    exit 1
}

# fact NAME VALUE: a line for the host.
fact() {
    printf '@%s %s\n' "$1" "$2"
}

# expect CODE COMMAND...: runs it, insists on its exit code, leaves its output in $out.
expect() {
    local wanted=$1 got
    shift
    echo "+ $*"
    out=$("$@" 2>&1)
    got=$?
    printf '%s\n' "$out"
    [ "$got" = "$wanted" ] || fail "'$*' ended with $got, not with $wanted"
}

# mentions WORDS...: the last output has each of the extended regular expressions.
mentions() {
    local words
    for words in "$@"; do
        grep -qiE -- "$words" <<<"$out" || fail "nothing about '$words' in: $out"
    done
}

# Uptime in milliseconds: the guest's own clock.
now() {
    local up rest
    read -r up rest </proc/uptime
    echo $((10#${up%.*} * 1000 + 10#${up#*.} * 10))
}

install_instore() {
    install -m 755 ./instore /usr/local/bin/instore
}

# The units as bootstrap/install.sh puts them, with containerd as consumer.
install_units() {
    install -m 644 ./instore-apply.service /etc/systemd/system/
    install -D -m 644 ./10-instore.conf /etc/systemd/system/containerd.service.d/10-instore.conf
    systemctl daemon-reload
    systemctl -q enable instore-apply.service containerd.service
}

# The block devices whose model says instance store.
instance_disks() {
    lsblk -dnpo NAME,MODEL | awk '/NVMe Instance Storage/ {print $1}' | sort
}

# Makes all instance disks read as zero again, as a stop and start does.
blank_disks() {
    local disk
    udevadm settle
    for disk in $(instance_disks); do
        blkdiscard -f -z "$disk" 2>/dev/null || fail "cannot blank $disk"
    done
    udevadm settle
}

# make_tree DIR FILES: content with everything a careless copy loses, and a number of small files
# that make the copy as long as the caller wants it to be.
make_tree() {
    rm -rf "${1:?}"
    mkdir -p "$1/deep/er/still" "$1/empty"
    chmod 711 "$1/deep"
    chmod 1777 "$1/empty"
    chown 1234:4321 "$1/deep/er"
    head -c 100000 /dev/urandom >"$1/deep/er/random"
    ln "$1/deep/er/random" "$1/hard-link"
    ln "$1/deep/er/random" "$1/deep/still-hard"
    ln -s ../nowhere "$1/dangling"
    echo 'name with a space' >"$1/a name"
    printf 'odd' >"$1/new
line"
    cp /bin/true "$1/setuid"
    chown 65534:65534 "$1/setuid"
    chmod 6755 "$1/setuid"
    mkfifo -m 600 "$1/fifo"
    mknod "$1/null" c 1 3
    truncate -s 1M "$1/sparse"
    setfattr -n user.note -v 'kept' "$1/a name"
    setfattr -n trusted.overlay.opaque -v y "$1/deep/er"
    setfattr -n security.label -v 'system_u:object_r:container_t:s0' "$1/deep/still-hard"
    touch -h -d '2021-02-03 04:05:06.789' "$1/dangling" "$1/deep/er/random" "$1/empty"
    local number
    mkdir "$1/many"
    for ((number = 1; number <= $2; number++)); do
        echo "$number" >"$1/many/$number"
    done
}

# picture_of DIR: owners, modes, times, link counts, link identities, attributes, content.
picture_of() {
    (
        cd "$1" || exit 1
        find . -mindepth 1 ! -type d -printf '%P|%y|%m|%U|%G|%n|%s|%T@|%l\n' | sort
        find . -type d -printf '%P|d|%m|%U|%G\n' | sort
        # Which names are one file: by the smallest name of each inode.
        find . -type f -links +1 -printf '%i %P\n' | sort -k2 |
            awk '{ if (!($1 in first)) first[$1] = $2; print $2 " is " first[$1] }'
        find . ! -type l -print0 | sort -z | xargs -0 getfattr -d -m - -e hex 2>/dev/null
        find . -type f -print0 | sort -z | xargs -0 sha256sum
    )
}

# picture_of_mounts: what is mounted from the pool, without the names that differ from time to time.
picture_of_mounts() {
    findmnt -rn -o TARGET,FSTYPE,FSROOT,OPTIONS -t xfs,ext4 | grep -v '^/ ' | sort
    sed -n 's/^md[^ ]* : active \([^ ]*\) /\1 /p' /proc/mdstat | sed 's/nvme[^ ]*/disk/g'
}
