# shellcheck shell=bash disable=SC2154 source-path=SCRIPTDIR
# One boot between two power cuts: converge from what the last cut left, compare, take everything
# down again, and run into the next cut. In the first boot there is nothing to converge from; an
# undisturbed run makes the pictures to compare with. `last` in the payload: do not run on.
. ./lib.sh
flags=(--mount /data --bind /var/lib/one --bind /var/log/pods)
pictures=/root/pictures

content_is_whole() {
    diff <(picture_of /var/lib/one) $pictures/one || fail "$1: /var/lib/one differs"
    diff <(picture_of /var/log/pods) $pictures/two || fail "$1: /var/log/pods differs"
}

if [ ! -e $pictures ]; then
    install_instore
    make_tree /var/lib/one 100
    make_tree /var/log/pods 100
    mkdir $pictures
    picture_of /var/lib/one >$pictures/one
    picture_of /var/log/pods >$pictures/two
    sync
fi
take_down() {
    expect 0 instore release
    content_is_whole released
    blank_disks
}

expect 0 instore apply "${flags[@]}"
content_is_whole "after the cut"
if [ ! -e $pictures/mounts ]; then
    picture_of_mounts >$pictures/mounts
    # How long it takes with modules loaded and caches full, as the ones below.
    take_down
    began=$(now)
    expect 0 instore apply "${flags[@]}"
    fact took $(($(now) - began))
fi
diff <(picture_of_mounts) $pictures/mounts || fail "other mounts than undisturbed"
[ ! -e ./last ] || exit 0

take_down
sync
echo 'applying now'
instore apply "${flags[@]}" || fail "apply failed"
echo 'apply was faster than the cut'
sleep 60
