#!/usr/bin/env bash
# Builds instore and shows its main job on two simulated disks. Arguments go to
# `instore demo`; without --once it stays until Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
. bootstrap/packages.sh

need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}"
need_cargo
cargo build --quiet --package instore
# Root: loop devices and mounts.
as_root "${CARGO_TARGET_DIR:-target}/debug/instore" demo "$@"
