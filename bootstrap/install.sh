#!/bin/sh
# Installs instore on this machine, or into a directory: the binary, the units,
# the drop-ins of what waits for it, and a configuration. Running it again
# changes only what differs. It never touches a disk; --start does, by starting
# the units.
set -eu

usage() {
    cat <<'USAGE'
Usage: install.sh [OPTIONS] [-- CONFIG FLAGS]
       install.sh --uninstall [--purge] [--root DIR] [--prefix DIR]

Where the binary comes from (default: the archive or build this script is in):
  --binary FILE     a local binary; checked against FILE.sha256 if that is there
  --archive FILE    a release archive; FILE.sha256 or --sha256 is required
  --sha256 SUM      the SHA-256 that the file must have

What is set up:
  --config FILE     install FILE as /etc/instore/config.toml
  -- FLAGS          write /etc/instore/config.toml from these flags, for example
                    -- --mount /data --fs xfs (see instore apply --help)
  --consumer UNIT   a unit that must not start without the pool; may be repeated,
                    added to containerd.service and kubelet.service
  --no-daemon       do not enable instore.service: something else runs the daemon
  --no-enable       do not enable any unit
  --start           start what is enabled now, and fail if the storage fails

Where to:
  --root DIR        install below DIR instead of / (images, tests)
  --prefix DIR      DIR/bin/instore (default /usr/local)

  --uninstall       remove all of it; configuration, disks and mounts stay
  --purge           with --uninstall: remove /etc/instore as well

Exit codes: 0 done; 1 failed; 2 usage; 3 refused (checksum).
USAGE
}

say() { printf '%s\n' "install.sh: $*"; }
die() { code=$1; shift; printf '%s\n' "install.sh: $*" >&2; exit "$code"; }

binary='' archive='' sum='' config='' root='' prefix=/usr/local
consumers='containerd.service kubelet.service'
enable=yes daemon=yes start=no uninstall=no purge=no flags=no
while [ $# -gt 0 ]; do
    case $1 in
        --binary | --archive | --sha256 | --config | --consumer | --root | --prefix)
            [ $# -ge 2 ] || die 2 "$1 needs a value"
            case $1 in
                --binary) binary=$2 ;;
                --archive) archive=$2 ;;
                --sha256) sum=$2 ;;
                --config) config=$2 ;;
                --consumer) consumers="$consumers $2" ;;
                --root) root=${2%/} ;;
                --prefix) prefix=${2%/} ;;
            esac
            shift ;;
        --no-daemon) daemon=no ;;
        --no-enable) enable=no ;;
        --start) start=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        -h | --help) usage; exit 0 ;;
        --) shift; flags=yes; break ;;
        *) usage >&2; die 2 "unknown option $1" ;;
    esac
    shift
done
[ -z "$binary" ] || [ -z "$archive" ] || die 2 "--binary and --archive exclude each other"
[ "$flags" = no ] || [ -z "$config" ] || die 2 "--config and flags after -- exclude each other"
[ "$start" = no ] || [ -z "$root" ] || die 2 "--start is for this machine, not for --root"
case $prefix in /*) ;; *) die 2 "--prefix must be an absolute path" ;; esac
for unit in $consumers; do
    case $unit in
        */* | .* | -*) die 2 "--consumer $unit is not the name of a unit" ;;
        *.service) ;;
        *) die 2 "--consumer $unit must end in .service" ;;
    esac
done

units=/etc/systemd/system
unit=instore-apply.service
keeper=instore.service
dropin=10-instore.conf
target=$prefix/bin/instore
live=no
[ -n "$root" ] || [ ! -d /run/systemd/system ] || live=yes

# daemon-reload where a systemd runs; elsewhere the files are all there is.
reload() { [ "$live" = no ] || systemctl daemon-reload; }

remove() {
    if [ -e "$root$1" ] || [ -L "$root$1" ]; then
        rm -f "$root$1"
        say "removed $1"
    fi
}

if [ "$uninstall" = yes ]; then
    # First the drop-ins: stopping the unit would stop whatever requires it.
    for file in "$root$units"/*.service.d/"$dropin"; do
        [ -e "$file" ] || continue
        remove "${file#"$root"}"
        rmdir "$(dirname "$file")" 2>/dev/null || true
    done
    reload
    for name in "$keeper" "$unit"; do
        [ "$live" = no ] || systemctl stop "$name" 2>/dev/null || true
        remove "$units/multi-user.target.wants/$name"
        remove "$units/$name"
    done
    remove "$target"
    for page in "$root$prefix"/share/man/man1/instore.1 "$root$prefix"/share/man/man1/instore-*.1; do
        [ ! -e "$page" ] || remove "${page#"$root"}"
    done
    reload
    [ "$purge" = no ] || [ ! -d "$root/etc/instore" ] || {
        rm -rf "$root/etc/instore"
        say "removed /etc/instore"
    }
    say "done; mounts and disks are as they were ('instore release' takes the mounts down, before this)"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"; rm -f "$root$target.new"' EXIT
trap 'exit 1' HUP INT TERM

# Refuses FILE unless its SHA-256 is the one given, or the one in FILE.sha256.
check_sum() {
    want=$sum
    if [ -z "$want" ] && [ -f "$1.sha256" ]; then
        read -r want _ <"$1.sha256" || [ -n "$want" ] || die 3 "$1.sha256 is empty"
    fi
    if [ -z "$want" ]; then
        [ "$2" = optional ] || die 3 "no checksum for $1: give --sha256, or put $1.sha256 next to it"
        return 0
    fi
    case $want in *[!0-9a-fA-F]*) die 3 "'$want' is not a SHA-256" ;; esac
    [ ${#want} -eq 64 ] || die 3 "'$want' is not a SHA-256"
    want=$(printf '%s' "$want" | tr 'A-F' 'a-f')
    got=$(sha256sum <"$1")
    got=${got%% *}
    [ "$got" = "$want" ] || die 3 "checksum of $1 is $got, expected $want: nothing was installed"
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
if [ -n "$archive" ]; then
    [ -f "$archive" ] || die 1 "no archive $archive"
    check_sum "$archive" required
    # Archives hold one directory: instore, systemd/, bootstrap/, man/.
    tar -xzf "$archive" -C "$work" --no-same-owner
    set_of=$work
    for dir in "$work"/*/; do set_of=${dir%/}; done
    [ -f "$set_of/instore" ] || die 1 "$archive holds no instore binary"
    here=$set_of
    binary=$here/instore
elif [ -n "$binary" ]; then
    [ -f "$binary" ] || die 1 "no binary $binary"
    check_sum "$binary" optional
else
    for binary in "$here/instore" "$here/target/release/instore"; do
        [ ! -f "$binary" ] || break
    done
    [ -f "$binary" ] || die 1 "no binary here: build one with 'cargo build --release', or give --binary or --archive"
    check_sum "$binary" optional
fi
for name in "$unit" "$keeper"; do
    [ -f "$here/systemd/$name" ] || die 1 "$here/systemd/$name is missing"
done

# put SOURCE DESTINATION MODE: whole or not at all, and only when it differs.
put() {
    if [ -f "$root$2" ] && cmp -s "$1" "$root$2" && [ "$(stat -c %a "$root$2")" = "$3" ]; then
        return 0
    fi
    mkdir -p "$(dirname "$root$2")"
    rm -f "$root$2.new"
    cp "$1" "$root$2.new"
    chmod "$3" "$root$2.new"
    mv -f "$root$2.new" "$root$2"
    say "installed $2"
}

# The configuration is checked before anything is installed, with the binary that
# will read it, run from where it will be: /tmp may be mounted noexec.
mkdir -p "$(dirname "$root$target")"
rm -f "$root$target.new"
cp "$binary" "$root$target.new"
chmod 755 "$root$target.new"
if [ "$flags" = yes ]; then
    # A file that is there already must not leak into what the flags mean.
    : >"$work/empty.toml"
    "$root$target.new" --config "$work/empty.toml" config show "$@" >"$work/config.toml" ||
        die 2 "these flags make no configuration: $*"
    config=$work/config.toml
fi
if [ -n "$config" ]; then
    [ -f "$config" ] || die 1 "no configuration $config"
    "$root$target.new" --config "$config" config check >/dev/null || die 2 "the configuration was refused"
fi

put "$binary" "$target" 755
for name in "$unit" "$keeper"; do
    sed "s|/usr/local/bin/instore|$target|" "$here/systemd/$name" >"$work/$name"
    put "$work/$name" "$units/$name" 644
done
for consumer in $consumers; do
    put "$here/systemd/$dropin" "$units/$consumer.d/$dropin" 644
done
for page in "$here"/man/*.1; do
    [ ! -f "$page" ] || put "$page" "$prefix/share/man/man1/$(basename "$page")" 644
done
[ -z "$config" ] || put "$config" /etc/instore/config.toml 644

# What 'systemctl enable' would do, on machines and images alike.
enabled=
[ "$enable" = no ] || enabled=$unit
[ "$enable" = no ] || [ "$daemon" = no ] || enabled="$enabled $keeper"
for name in $enabled; do
    [ ! -L "$root$units/multi-user.target.wants/$name" ] || continue
    mkdir -p "$root$units/multi-user.target.wants"
    ln -sf "$units/$name" "$root$units/multi-user.target.wants/$name"
    say "enabled $name"
done
reload

if [ "$start" = yes ]; then
    [ "$live" = yes ] || die 1 "--start: systemd does not run here"
    if systemctl is-active --quiet "$unit"; then
        # Restarting the unit would restart whatever requires it.
        "$target" apply --boot
    elif ! systemctl start "$unit"; then
        journalctl --unit "$unit" --boot --no-pager --lines 50 >&2 || true
        die 1 "$unit failed; what it said is above"
    fi
    # A new binary or configuration; nothing waits for the daemon.
    case " $enabled " in
        *" $keeper "*) systemctl --no-block restart "$keeper" ;;
    esac
fi
say "done"
