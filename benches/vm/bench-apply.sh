#!/bin/bash
# bench-apply.sh [ROUNDS]: see apply.rs. Wants target/release/instore to be built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec cargo run --quiet --release --package instore-bench --bin bench-apply -- target/release/instore "$@"
