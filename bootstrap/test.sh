#!/usr/bin/env bash
# Runs every test layer, from cheap to real, and says at the end which ones ran.
# A layer that cannot run fails; none is skipped, except by name:
#   --fast    leave out fio-plot, the browser, Prometheus and the virtual machine
set -euo pipefail
cd "$(dirname "$0")/.."
. bootstrap/packages.sh

fast=no
case ${1-} in
    '') ;;
    --fast) fast=yes ;;
    *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

packages=("${BUILD_PACKAGES[@]}" "${RUN_PACKAGES[@]}" "${CHECK_PACKAGES[@]}")
[ "$fast" = yes ] || packages+=("${PLOT_PACKAGES[@]}" "${DAEMON_PACKAGES[@]}" "${VM_PACKAGES[@]}")
need_packages "${packages[@]}"
need_cargo

# One set of features for all layers: one build. What runs is chosen by target.
features=$(printf '%s,' instore/{faults,loop-tests,page-tests,prometheus-tests,vm-tests} \
    instore-bench/{fio-tests,fio-plot-tests,loop-tests,page-tests})
features=(--features "${features%,}")
summary=() started=$SECONDS

# layer NAME COMMAND...: runs it, times it, stops everything when it fails.
# Not in a condition: bash would then ignore failures inside the command.
layer() {
    local name=$1 since=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    running=$name
    "$@"
    running=
    summary+=("$(printf 'ran       %-10s %4d s' "$name" $((SECONDS - since)))")
}
running=
trap '[ -z "$running" ] || printf "\n%s\nFAILED    %s\n" "$(printf "%s\n" "${summary[@]-}")" "$running" >&2' EXIT

left_out() {
    printf '\n== %s\nleft out: %s\n' "$1" "$2"
    summary+=("$(printf 'LEFT OUT  %-10s %s' "$1" "$2")")
}

shell_checks() {
    local scripts yaml unit stage
    # Scripts by name or by first line.
    mapfile -t scripts < <(find . \( -path ./target -o -path ./.git \) -prune -o -type f \
        \( -name '*.sh' -print -o -exec sh -c 'head -n 1 "$1" | grep -aqE "^#!.*(/|env )(ba)?sh\b"' - {} \; -print \))
    shellcheck --external-sources "${scripts[@]}"
    echo "shellcheck: ${#scripts[@]} scripts"

    # A unit must name a program that is there: a stand-in, in a root of its own.
    stage=$(mktemp -d)
    mkdir -p "$stage/etc/systemd/system" "$stage/usr/local/bin"
    install -m 755 /dev/null "$stage/usr/local/bin/instore"
    # And what every unit with default dependencies hangs on, which is systemd's own.
    mkdir -p "$stage/usr/lib/systemd/system"
    for unit in sysinit.target basic.target shutdown.target system.slice; do
        printf '[Unit]\nDefaultDependencies=no\n' >"$stage/usr/lib/systemd/system/$unit"
    done
    for unit in systemd/*.service; do
        cp "$unit" "$stage/etc/systemd/system/"
        systemd-analyze verify --man=no --root="$stage" "$stage/etc/systemd/system/${unit##*/}"
    done
    rm -r "$stage"
    echo "systemd-analyze verify: systemd/*.service"

    mapfile -t yaml < <(find bootstrap -name '*.yaml')
    python3 -c '
import sys, yaml
for name in sys.argv[1:]:
    with open(name) as f:
        list(yaml.safe_load_all(f))
' "${yaml[@]}"
    echo "yaml: ${#yaml[@]} files"
}

# The integration tests of one layer, as arguments for Cargo: a file belongs to
# the layer its name begins with, or else to `unit`. Names are those of one package
# or mean the same in both.
targets() {
    local file name layer
    for file in agent/tests/*.rs benches/tests/*.rs; do
        name=$(basename "$file" .rs)
        case $name in
            corpus*) layer=corpus ;;
            loop*) layer=loop ;;
            # Next to Debian's fio.
            language* | schema* | distributions*) layer=fio ;;
            fio_plot*) layer=fio-plot ;;
            page* | report*) layer=page ;;
            prometheus*) layer=prometheus ;;
            vm*) layer=vm ;;
            *) layer=unit ;;
        esac
        [ "$layer" != "$1" ] || printf -- '--test\n%s\n' "$name"
    done
}

# cargo_tests ROOT|USER ARGUMENTS...: the same arguments suit both runners.
cargo_tests() {
    local who=$1 runner triple
    shift
    if [ "$who" = ROOT ] && [ "$(id -u)" -ne 0 ]; then
        as_root true
        triple=$(rustc -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
        export "CARGO_TARGET_${triple}_RUNNER=sudo -E"
    fi
    if cargo nextest --version >/dev/null 2>&1; then
        runner=(cargo nextest run --no-fail-fast)
        [ "$who" = USER ] || runner+=(--test-threads 1)
        "${runner[@]}" "${features[@]}" "$@"
    else
        runner=(cargo test --no-fail-fast)
        if [ "$who" = USER ]; then
            "${runner[@]}" "${features[@]}" "$@"
        else
            "${runner[@]}" "${features[@]}" "$@" -- --test-threads 1
        fi
    fi
}

test_layer() {
    local name=$1 who=$2 chosen
    shift 2
    mapfile -t chosen < <(targets "$name")
    if [ ${#chosen[@]} -eq 0 ]; then
        echo "no integration test of the layer $name in agent/tests/ and benches/tests/: nothing would be tested" >&2
        return 1
    fi
    # All packages, for features of one that is not chosen are an error.
    cargo_tests "$who" --workspace "$@" "${chosen[@]}"
}

# fio-plot is a program of Python's, which its test finds by this.
plot_layer() {
    INSTORE_FIO_PLOT=$(bootstrap/fio-plot.sh)
    export INSTORE_FIO_PLOT
    test_layer fio-plot USER
}

layer format cargo fmt --all --check
layer clippy cargo clippy --quiet --workspace --all-targets --all-features -- -D warnings
if cargo deny --version >/dev/null 2>&1; then
    layer deny cargo deny --offline check licenses bans sources
else
    left_out deny 'cargo-deny is not installed here'
fi
layer scripts shell_checks
layer unit test_layer unit USER --lib --bins
layer corpus test_layer corpus ROOT
layer loop test_layer loop ROOT
layer fio test_layer fio USER
if [ "$fast" = yes ]; then
    left_out fio-plot '--fast'
    left_out page '--fast'
    left_out prometheus '--fast'
    left_out vm '--fast'
else
    layer fio-plot plot_layer
    layer page test_layer page USER
    layer prometheus test_layer prometheus USER
    layer vm test_layer vm ROOT
fi

printf '\n== layers, %d s in all\n' $((SECONDS - started))
printf '%s\n' "${summary[@]}"
