# shellcheck shell=bash disable=SC2034
# Sourced by the other scripts: what a Debian machine must have, and how to get
# it. Says nothing when nothing is missing.

BUILD_PACKAGES=(gcc libc6-dev pkg-config clang libclang-dev libblkid-dev libudev-dev)
# What the agent itself runs.
RUN_PACKAGES=(mdadm xfsprogs e2fsprogs util-linux mount kmod)
CHECK_PACKAGES=(shellcheck systemd python3 python3-yaml fio)
# What fio-plot is installed with.
PLOT_PACKAGES=(python3-venv)
# A browser with something to write with, and Prometheus with promtool.
DAEMON_PACKAGES=(chromium fonts-dejavu-core prometheus)
VM_PACKAGES=(qemu-system-x86 mmdebstrap fdisk)
# What the daemon and the load engine are measured next to.
BENCH_PACKAGES=(prometheus-node-exporter fio)

# Runs a command as root: as it is, or with sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "need root for: $*; run this as root, or install sudo" >&2
        return 1
    fi
}

# Installs those of the named packages that are missing.
need_packages() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "not a Debian machine: make sure that these are here, by your distribution's names: $*" >&2
        return 0
    fi
    for package in "$@"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]}"
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Refuses to go on without Cargo; the pinned toolchain is rustup's to fetch.
need_cargo() {
    command -v cargo >/dev/null || PATH=$HOME/.cargo/bin:$PATH
    if ! command -v cargo >/dev/null; then
        echo "cargo is missing: install Rust with rustup (https://rustup.rs)" >&2
        return 1
    fi
}
