#!/usr/bin/env bash
# Times `instore apply` in the guest against the same mdadm, mkfs and mount typed
# by hand. Arguments go to the harness in benches/vm/.
set -euo pipefail
cd "$(dirname "$0")/.."
. bootstrap/packages.sh

need_packages "${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${VM_PACKAGES[@]}"
need_cargo
cargo build --quiet --release --package instore
as_root benches/vm/bench-apply.sh "$@"
