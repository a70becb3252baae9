# shellcheck shell=bash disable=SC2154 source-path=SCRIPTDIR
# The daemon is stopped, and killed, at many moments while it makes a pool with a bind. After a stop
# nothing is half-done: all of it is there, or none. After a kill the next start completes it.
. ./lib.sh
install_instore
install -m 644 ./instore.service /etc/systemd/system/
systemctl daemon-reload
mkdir -p /etc/instore
printf 'binds = ["/var/lib/kept"]\n' >/etc/instore/config.toml
make_tree /var/lib/kept 200
before=$(picture_of /var/lib/kept)

# fresh: blank disks, and a daemon that knows nothing of them.
fresh() {
    systemctl stop instore
    instore release >/run/out 2>&1 || fail "release: $(cat /run/out)"
    blank_disks
    rm -f /run/instore/memory.json
    [ "$(picture_of /var/lib/kept)" = "$before" ] || fail "content was lost"
}
made() { mountpoint -q /data && mountpoint -q /var/lib/kept; }

fresh
begin=$(now)
systemctl start instore || fail "it does not start"
made || fail "not made"
whole=$(($(now) - begin))
fact whole $whole

for signal in TERM KILL; do
    for part in 2 4 7; do
        fresh
        systemctl reset-failed instore 2>/dev/null
        systemctl --no-block start instore
        until pid=$(systemctl show -P MainPID instore) && [ "$pid" != 0 ]; do sleep 0.01; done
        sleep "$(awk -v ms=$((whole * part / 9)) 'BEGIN {print ms / 1000}')"
        case $signal in
        TERM)
            systemctl stop instore
            if made; then
                state=made
            elif mountpoint -q /data || mountpoint -q /var/lib/kept || instore disks | grep -qi claimed; then
                fail "half-done after a stop: $(findmnt; instore disks)"
            else
                state=untouched
            fi
            ;;
        KILL)
            kill -KILL "$pid"
            state=killed
            ;;
        esac
        echo "$signal at $((whole * part / 9)) ms: $state"
        begin=$(now)
        [ "$signal" = KILL ] || systemctl start instore || fail "it does not start again"
        until made && systemctl -q is-active instore; do
            [ $(($(now) - begin)) -lt 60000 ] || fail "$signal: it does not converge: $(instore plan)"
            sleep 0.1
        done
        [ "$(picture_of /var/lib/kept)" = "$before" ] || fail "$signal: content was lost"
        instore plan | grep -q 'nothing to do' || fail "$signal: not done: $(instore plan)"
    done
done
exit 0
