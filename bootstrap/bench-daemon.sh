#!/usr/bin/env bash
# Measures what `instore run` costs, next to Debian's node_exporter, on simulated
# disks. Arguments go to the harness, benches/daemon.rs.
set -euo pipefail
cd "$(dirname "$0")/.."
. bootstrap/packages.sh

need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${BENCH_PACKAGES[@]}"
need_cargo
# One by one: together they would share features, and instore would be another.
cargo build --quiet --release --package instore
cargo build --quiet --release --package instore-bench --bin bench-daemon
built=${CARGO_TARGET_DIR:-target}/release
# Root: loop devices and mounts.
as_root "$built/bench-daemon" "$built/instore" "$@"
