#!/usr/bin/env bash
# Measures the load engine next to Debian's fio. Arguments go to the harness,
# benches/fio.rs.
set -euo pipefail
cd "$(dirname "$0")/.."
. bootstrap/packages.sh

need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
need_cargo
# One by one: together they would share features, and instore would be another.
cargo build --quiet --release --package instore
cargo build --quiet --release --package instore-bench --bin bench-fio
built=${CARGO_TARGET_DIR:-target}/release
# Root: a zram device, and devices that are named.
as_root "$built/bench-fio" "$built/instore" "$@"
