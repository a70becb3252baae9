#!/usr/bin/env bash
# Prints the path of fio-plot, which draws fio's JSON and so must draw ours. It is
# installed from PyPI into a virtual environment below target/ when it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
. bootstrap/packages.sh

version=1.1.21
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
venv=$target/fio-plot-$version
# pip puts the program there after everything that it needs
if [ ! -x "$venv/bin/fio-plot" ]; then
    {
        python3 -c 'import ensurepip' 2>/dev/null || need_packages python3 python3-venv
        python3 -m venv --clear "$venv"
        "$venv/bin/pip" install --quiet --disable-pip-version-check "fio-plot==$version"
    } >&2
fi
echo "$venv/bin/fio-plot"
