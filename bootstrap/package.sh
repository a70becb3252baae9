#!/usr/bin/env bash
# Builds target/instore-VERSION-ARCH.tar.gz and its .sha256: what install.sh
# --archive takes, and what the node recipes in this directory download.
# Build on the distribution the nodes run, or an older one: the binary uses the
# glibc, libblkid and libudev of the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. bootstrap/packages.sh

need_packages "${BUILD_PACKAGES[@]}"
need_cargo
cargo build --quiet --release --package instore
target=${CARGO_TARGET_DIR:-target}
version=$("$target/release/instore" --version)
name=instore-${version##* }-$(uname -m)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT

mkdir -p "$stage/$name/man"
install -m 755 "$target/release/instore" "$stage/$name/instore"
"$target/release/instore" man --dir "$stage/$name/man"
cp -R systemd LICENSE README.md CHANGELOG.md "$stage/$name/"
install -D -m 755 bootstrap/install.sh "$stage/$name/bootstrap/install.sh"
# The same input makes the same archive.
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 \
    -C "$stage" -cf - "$name" | gzip -n >"$target/$name.tar.gz"
(cd "$target" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$target/$name.tar.gz"
cat "$target/$name.tar.gz.sha256"
