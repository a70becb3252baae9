# shellcheck shell=bash disable=SC2154 source-path=SCRIPTDIR
# The second recipe over the life of a node. The host says which boot this is in the file `stage`:
# first, reboot, blank (stop and start), gone (no instance disk any more).
. ./lib.sh
stage=$(cat ./stage)
root=/var/lib/containerd
image=example.test/greeting:1

monotonic() {
    systemctl show -P "$2" "$1"
}
image_is_there() {
    local waited=0
    until ctr version >/dev/null 2>&1; do
        waited=$((waited + 1))
        [ $waited -lt 100 ] || fail "containerd does not answer"
        sleep 0.1
    done
    ctr images ls -q | grep -qx "$image" || fail "the image is gone: $(ctr images ls)"
    ctr images check "name==$image" | grep -q complete || fail "the image is not complete"
}
# An OCI image made of nothing: one layer with one file, packed as `ctr images import` reads it.
make_image() {
    local dir=/run/image layer config manifest
    mkdir -p $dir/blobs/sha256 /run/layer
    echo hello >/run/layer/greeting
    tar -C /run/layer -cf $dir/layer.tar greeting
    blob() {
        local sum
        sum=$(sha256sum "$1" | cut -d' ' -f1)
        stat -c %s "$1" >"$1.size"
        mv "$1" "$dir/blobs/sha256/$sum"
        echo "$sum"
    }
    layer=$(blob $dir/layer.tar)
    printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
        "$layer" >$dir/config
    config=$(blob $dir/config)
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:%s","size":%s}]}' \
        "$config" "$(cat $dir/config.size)" "$layer" "$(cat $dir/layer.tar.size)" >$dir/manifest
    manifest=$(blob $dir/manifest)
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"io.containerd.image.name":"%s"}}]}' \
        "$manifest" "$(cat $dir/manifest.size)" $image >$dir/index.json
    echo '{"imageLayoutVersion":"1.0.0"}' >$dir/oci-layout
    rm $dir/*.size
    tar -C $dir -cf /run/image.tar .
}

case $stage in
first)
    install_instore
    make_image
    systemctl start containerd
    expect 0 ctr images import /run/image.tar
    image_is_there
    pid=$(systemctl show -P MainPID containerd)
    expect 0 instore apply --fs ext4 --mount $root
    [ "$(systemctl is-active containerd)" = active ] || fail "containerd is not running again"
    [ "$(systemctl show -P MainPID containerd)" != "$pid" ] || fail "containerd was not restarted"
    mkdir -p /etc/instore
    printf 'fs = "ext4"\nmount = "%s"\n' $root >/etc/instore/config.toml
    expect 0 instore config check
    expect 0 instore apply
    install_units
    ;;
*)
    [ "$(systemctl is-active instore-apply)" = active ] || fail "instore-apply: $(systemctl status instore-apply)"
    journalctl -b -u instore-apply -o cat --no-pager
    mounted=$(monotonic instore-apply ActiveEnterTimestampMonotonic)
    started=$(monotonic containerd ExecMainStartTimestampMonotonic)
    [ "$mounted" -lt "$started" ] || fail "containerd started at $started, the pool was there at $mounted"
    fact boot "$(monotonic multi-user.target ActiveEnterTimestampMonotonic)"
    fact apply $((mounted - $(monotonic instore-apply InactiveExitTimestampMonotonic)))
    ;;
esac

image_is_there
if [ "$stage" = gone ]; then
    findmnt $root && fail "something is mounted on $root without disks"
    journalctl -b -u instore-apply -o cat --no-pager | grep -qi 'no ephemeral disk' ||
        fail "the journal does not say that there are no disks"
else
    [ "$(findmnt -no FSTYPE $root)" = ext4 ] || fail "$root is not ext4: $(findmnt $root)"
    source=$(findmnt -no SOURCE $root | sed 's/\[.*//')
    lsblk -snpo MODEL "$source" | grep -q 'Instance Storage' || fail "$source is no instance disk"
    findmnt -no OPTIONS $root | grep -q noatime || fail "no noatime"
    fact uuid "$(findmnt -no UUID $root)"
    echo "$stage" >>$root/boots
    fact boots "$(tr '\n' ' ' <$root/boots)"
fi
exit 0
