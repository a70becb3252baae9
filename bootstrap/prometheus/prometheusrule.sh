#!/usr/bin/env bash
# Prints rules.yaml as a PrometheusRule for the Prometheus operator.
# usage: prometheusrule.sh [LABEL=VALUE]...
# The labels are those that your Prometheus selects rules by, such as
# release=kube-prometheus-stack.
set -euo pipefail

rules=$(dirname "$0")/rules.yaml
for label in "$@"; do
    if ! [[ $label =~ ^[A-Za-z0-9./_-]+=[A-Za-z0-9._-]*$ ]]; then
        sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
        exit 2
    fi
done

cat <<'END'
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: instore
  labels:
    app.kubernetes.io/name: instore
END
for label in "$@"; do
    printf '    %s: "%s"\n' "${label%%=*}" "${label#*=}"
done
echo 'spec:'
sed 's/^./  &/' "$rules"
