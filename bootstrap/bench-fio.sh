#!/usr/bin/env bash
# Measures the load engine next to Debian's fio. Arguments go to the harness,
# benches/fio.rs; with --guest before them, it runs in the guest of the virtual
# machine tests, on null_blk (benches/vm/fio.rs).
set -euo pipefail
cd "$(dirname "$0")/.."
. bootstrap/packages.sh

packages=("${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${BENCH_PACKAGES[@]}")
[ "${1-}" != --guest ] || packages+=("${VM_PACKAGES[@]}")
need_packages "${packages[@]}"
need_cargo
# One by one: together they would share features, and instore would be another.
cargo build --quiet --release --package instore
cargo build --quiet --release --package instore-bench --bin bench-fio --bin bench-fio-guest
built=${CARGO_TARGET_DIR:-target}/release
# Root: a zram device, devices that are named, and the guest's image.
if [ "${1-}" = --guest ]; then
    as_root "$built/bench-fio-guest" "$built/instore" "$built/bench-fio" "${@:2}"
else
    as_root "$built/bench-fio" "$built/instore" "$@"
fi
