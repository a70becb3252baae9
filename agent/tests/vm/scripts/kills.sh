# shellcheck shell=bash disable=SC2154 source-path=SCRIPTDIR
# SIGKILL at every step boundary of an apply with binds; the apply after it must end where an
# undisturbed one ends. One round for each boundary, until a run gets through unharmed. Content that
# a release lost would be missed by the next round.
. ./lib.sh
install_instore
flags=(--mount /data --bind /var/lib/one --bind /var/log/pods)

make_tree /var/lib/one 5
make_tree /var/log/pods 5
one=$(picture_of /var/lib/one)
two=$(picture_of /var/log/pods)
content_is_whole() {
    [ "$(picture_of /var/lib/one)" = "$one" ] ||
        fail "$1: /var/lib/one differs: $(diff <(echo "$one") <(picture_of /var/lib/one) | head)"
    [ "$(picture_of /var/log/pods)" = "$two" ] || fail "$1: /var/log/pods differs"
}

expect 0 instore apply "${flags[@]}"
content_is_whole undisturbed
wanted=$(picture_of_mounts)
echo "$wanted"
expect 0 instore release
content_is_whole released
blank_disks

round=1
while :; do
    began=$(now)
    out=$(INSTORE_FAULT=$round instore apply "${flags[@]}" 2>&1)
    code=$?
    [ $code != 0 ] || break
    [ $code = 137 ] || fail "round $round: apply ended with $code: $out"
    [ $round -lt 100 ] || fail "more than 100 step boundaries"
    last=$(tail -1 <<<"$out")
    out=$(instore apply "${flags[@]}" 2>&1) || fail "round $round, killed after '$last': apply: $out"
    [ "$(picture_of_mounts)" = "$wanted" ] || fail "round $round, killed after '$last': $(picture_of_mounts)"
    content_is_whole "round $round, killed after '$last'"
    out=$(instore release 2>&1) || fail "round $round: release: $out"
    blank_disks
    echo "round $round: $(($(now) - began)) ms, killed after: $last"
    round=$((round + 1))
done
[ $round -gt 3 ] || fail "only $((round - 1)) step boundaries"
content_is_whole "after all rounds"
fact boundaries $((round - 1))
exit 0
