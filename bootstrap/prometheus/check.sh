#!/usr/bin/env bash
# Checks rules, their tests, scrape configurations, dashboard and what the docs say
# of them against each other. Needs promtool and python3, and no network.
set -euo pipefail
cd "$(dirname "$0")"

for program in promtool python3; do
    if ! command -v "$program" >/dev/null; then
        echo "$program is missing; on Debian: apt-get install --no-install-recommends prometheus python3" >&2
        exit 1
    fi
done

# Debian's promtool is built without Kubernetes discovery. There the rest of those
# jobs is checked without it.
check_scrape() {
    local out rest
    if out=$(promtool check config scrape.yaml 2>&1); then
        echo "$out"
        return
    fi
    if ! grep -q 'field kubernetes_sd_configs not found' <<<"$out"; then
        echo "$out" >&2
        return 1
    fi
    rest=$(mktemp)
    # shellcheck disable=SC2064
    trap "rm -f '$rest'" EXIT
    sed '/^    kubernetes_sd_configs:$/,/^    relabel_configs:$/{/^    relabel_configs:$/!d}' scrape.yaml >"$rest"
    promtool check config "$rest"
    echo 'scrape.yaml: this promtool knows no kubernetes_sd_configs; checked without them'
}

promtool check rules rules.yaml
check_scrape
# What prometheusrule.sh prints must be the same rules, two columns to the right.
diff rules.yaml <(./prometheusrule.sh release=example | sed '1,/^spec:$/d; s/^  //')
echo 'prometheusrule.sh: the same rules'
python3 ../grafana/check.py
promtool test rules rules_test.yaml rules_days_test.yaml
