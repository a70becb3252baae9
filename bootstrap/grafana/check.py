#!/usr/bin/env python3
"""Checks that what watches instore agrees with itself, without a network.

- Every metric, and every label that selects, in the rules and the dashboard is in
  docs/metrics.md or is a recording rule; counters are read as counters.
- Every expression of the dashboard parses, by `promtool check rules`.
- Every alert has its texts, its entry in docs/runbook.md, and a test where it
  fires and one where it does not; every recording rule has a test.
- Every condition that is critical or a warning has an alert.

Needs promtool. Prints what it counted, or everything that is wrong.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
METRICS = ROOT / "docs/metrics.md"
RUNBOOK = ROOT / "docs/runbook.md"
PROMETHEUS = ROOT / "bootstrap/prometheus"
DASHBOARD = ROOT / "bootstrap/grafana/instore.json"
RUNBOOK_URL = "https://github.com/instore-dev/instore/blob/main/docs/runbook.md#"

# Metrics and labels that Prometheus itself makes.
OF_PROMETHEUS = {"up"}
TARGET_LABELS = {"job", "instance"}
KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
GROUPINGS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
AGGREGATIONS = {
    "sum", "min", "max", "avg", "group", "stddev", "stdvar", "count",
    "count_values", "bottomk", "topk", "quantile",
}
OF_COUNTERS = {"rate", "irate", "increase"}
# What each entry of the runbook has.
PARTS = ["Means", "Affected", "Check", "Fix", "Quiet"]

problems = []


def wrong(what):
    problems.append(what)


def read(path):
    return path.read_text(encoding="utf-8")


# docs/metrics.md

ROW = re.compile(r"\| `([a-z_]+)` \| (gauge|counter|histogram|summary) \| ([a-z_, ]+) \| (.+) \|")
CONDITION = re.compile(r"\| ([A-Z][A-Za-z]+) \| (critical|warning|info)\b[^|]* \| \w+ \| .+ \|")


def listed_metrics():
    """Name to (type, labels)."""
    metrics = {}
    for number, line in enumerate(read(METRICS).splitlines(), 1):
        if not line.startswith("| `"):
            continue
        row = ROW.fullmatch(line)
        if not row:
            wrong(f"{METRICS.name}:{number}: not a row of name, type, labels, meaning: {line}")
            continue
        name, kind, labels, _ = row.groups()
        if name in metrics:
            wrong(f"{METRICS.name}:{number}: {name} is listed twice")
        if (kind == "counter") != name.endswith("_total"):
            wrong(f"{METRICS.name}:{number}: {name} is a {kind}")
        labels = set() if labels == "none" else set(labels.split(", "))
        metrics[name] = (kind, labels)
    return metrics


def listed_conditions():
    rows = (CONDITION.fullmatch(line) for line in read(METRICS).splitlines())
    return {row[1]: row[2] for row in rows if row}


# PromQL: names only. Whether it parses is promtool's matter.

TOKEN = re.compile(r"""
    (?P<comment>\#[^\n]*) | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<number>\d[\w.]*) | (?P<name>[A-Za-z_:][\w:]*) | (?P<operator>[=!<>]=|=~|!~|\S)
""", re.VERBOSE)


def tokens(text):
    found = ((m.lastgroup, m.group()) for m in TOKEN.finditer(text))
    return [token for token in found if token[0] != "comment"]


def metrics_in(text):
    """Yields (name, labels that select, function around it) of each selector, and
    (None, labels, None) of each list of labels."""
    list_ = tokens(text)
    at, brackets = 0, 0
    while at < len(list_):
        kind, word = list_[at]
        after = list_[at + 1][1] if at + 1 < len(list_) else ""
        before = [token[1] for token in list_[max(0, at - 2):at]]
        at += 1
        brackets += {"[": 1, "]": -1}.get(word, 0)
        # In brackets is a range: 1d:1h is a number and a name to this tokenizer.
        if kind != "name" or brackets:
            continue
        if word in GROUPINGS and after == "(":
            end = at + [token[1] for token in list_[at:]].index(")")
            yield None, {word for kind, word in list_[at:end] if kind == "name"}, None
            at = end
        elif word.lower() in KEYWORDS or word in AGGREGATIONS or after == "(":
            continue
        else:
            labels = set()
            if after == "{":
                end = at + [token[1] for token in list_[at:]].index("}")
                labels = {word for kind, word in list_[at:end] if kind == "name"}
                at = end
            around = before[0] if len(before) == 2 and before[1] == "(" else None
            yield word, labels, around


def check_names(where, text, metrics, records, all_labels):
    for name, labels, around in metrics_in(text):
        if name is None:
            for label in sorted(labels - all_labels):
                wrong(f"{where}: nothing has a label {label}")
            continue
        if name in OF_PROMETHEUS:
            continue
        if name in records:
            for label in sorted(labels - all_labels):
                wrong(f"{where}: nothing has a label {label}, by which {name} is selected")
            if around in OF_COUNTERS:
                wrong(f"{where}: {around}() of {name}, which is no counter")
            continue
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if base != name and metrics.get(base, ("",))[0] in ("histogram", "summary"):
            kind, known = "counter", metrics[base][1] | {"le"}
        elif name in metrics and metrics[name][0] != "histogram":
            kind, known = metrics[name]
        else:
            wrong(f"{where}: no metric {name} in {METRICS.name}, and no recording rule of that name")
            continue
        for label in sorted(labels - known - TARGET_LABELS):
            wrong(f"{where}: {name} has no label {label}")
        if around in OF_COUNTERS and kind != "counter":
            wrong(f"{where}: {around}() of {name}, which is a {kind}")


# rules.yaml and its tests: YAML of a plain form, read by lines.

def rules():
    """Each rule as a dict: its kind and name, expr, and its other lines."""
    found, block = [], None
    for line in read(PROMETHEUS / "rules.yaml").splitlines():
        if line.strip().startswith("#"):
            continue
        start = re.match(r"      - (alert|record): (\S+)$", line)
        if start:
            found.append({"kind": start[1], "name": start[2], "expr": "", "fields": {}})
            block = None
            continue
        if re.match(r" {0,7}\S", line):
            block = None
            continue
        indent = len(line) - len(line.lstrip())
        if block is not None and (indent > block or not line.strip()):
            found[-1]["expr"] += line + "\n"
            continue
        block = None
        field = re.match(r"\s+(\w+): *(.*)$", line)
        if not field or not found:
            continue
        if field[1] == "expr" and field[2] == "|":
            block = indent
        elif field[1] == "expr":
            found[-1]["expr"] = field[2]
        else:
            found[-1]["fields"][field[1]] = field[2].strip('"')
    return found


def tested():
    """Alerts with a test where they fire, those with one where they do not, and
    the text of all expressions that are tested."""
    fires, quiet, expressions = set(), set(), ""
    for path in sorted(PROMETHEUS.glob("rules*_test.yaml")):
        alert = None
        for line in read(path).splitlines():
            if name := re.match(r"\s+alertname: (\S+)$", line):
                alert = name[1]
            elif re.match(r"\s+exp_alerts: \[\]$", line):
                quiet.add(alert)
            elif re.match(r"\s+exp_alerts:$", line):
                fires.add(alert)
            elif expr := re.match(r"\s+- expr: (.+)$", line):
                expressions += expr[1] + "\n"
    return fires, quiet, expressions


def check_rules(all_rules, metrics, all_labels):
    alerts = [rule for rule in all_rules if rule["kind"] == "alert"]
    records = {rule["name"] for rule in all_rules if rule["kind"] == "record"}
    fires, quiet, expressions = tested()
    seen = set()
    for rule in all_rules:
        name, fields = rule["name"], rule["fields"]
        check_names(f"rules.yaml: {name}", rule["expr"], metrics, records, all_labels)
        if rule["kind"] == "record":
            if not re.search(re.escape(name) + r"(?![\w:])", expressions):
                wrong(f"rules.yaml: {name} has no test")
            continue
        if name in seen:
            wrong(f"rules.yaml: {name} is there twice")
        seen.add(name)
        if fields.get("severity") not in {"critical", "warning", "info", "{{ $labels.severity }}"}:
            wrong(f"rules.yaml: {name} has no severity")
        for text in ("summary", "description"):
            if not fields.get(text):
                wrong(f"rules.yaml: {name} has no {text}")
            elif "$labels.instance" not in fields[text] and "absent(" not in rule["expr"]:
                wrong(f"rules.yaml: the {text} of {name} does not name the instance")
        if fields.get("runbook_url") != RUNBOOK_URL + name.lower():
            wrong(f"rules.yaml: the runbook_url of {name} is not {RUNBOOK_URL}{name.lower()}")
        if name not in fires:
            wrong(f"rules.yaml: {name} has no test where it fires")
        if name not in quiet:
            wrong(f"rules.yaml: {name} has no test where it does not fire")
    for name in sorted((fires | quiet) - seen):
        wrong(f"a test names {name}, which is no alert")
    return alerts, records


def check_conditions(alerts):
    """Each condition of weight has an alert of its own, and the general one
    leaves out just those that have."""
    own = set()
    rest = None
    for alert in alerts:
        if alert["name"] == "InstoreCondition":
            found = re.search(r'type!~"([^"]*)"', alert["expr"])
            rest = set(found[1].split("|")) if found else set()
        own |= set(re.findall(r'^\s*(?:label_replace\()?instore_condition\{type="(\w+)"\} == 1', alert["expr"]))
    conditions = listed_conditions()
    if not conditions:
        wrong(f"{METRICS.name}: no condition is listed")
    weighty = {name for name, severity in conditions.items() if severity != "info"}
    for name in sorted(weighty - own):
        wrong(f"rules.yaml: the condition {name} has no alert of its own")
    for name in sorted(own - set(conditions)):
        wrong(f"rules.yaml: the condition {name} is not in {METRICS.name}")
    if rest != own:
        wrong(f"rules.yaml: InstoreCondition leaves out {sorted(rest or [])}, but alerts of their own have {sorted(own)}")
    return conditions


def check_runbook(alerts):
    sections = re.split(r"^## ", read(RUNBOOK), flags=re.MULTILINE)[1:]
    entries = {}
    for section in sections:
        title, _, text = section.partition("\n")
        if title.startswith("Instore"):
            if title in entries:
                wrong(f"{RUNBOOK.name}: {title} is there twice")
            entries[title] = text
    names = {alert["name"] for alert in alerts}
    for name in sorted(names - set(entries)):
        wrong(f"{RUNBOOK.name}: no entry for {name}")
    for name in sorted(set(entries) - names):
        wrong(f"{RUNBOOK.name}: {name} is no alert")
    for name, text in entries.items():
        parts = re.findall(r"^\*\*(\w+)\.\*\*", text, flags=re.MULTILINE)
        if parts != PARTS:
            wrong(f"{RUNBOOK.name}: the entry of {name} has {parts}, not {PARTS}")
    return entries


# The dashboard

def plain(expr, variables, where):
    """The expression with Grafana's variables replaced."""
    for name, value in (("__rate_interval", "5m"), ("__interval", "1m"), ("__range", "1h"), ("__from", "0")):
        expr = re.sub(rf"\$(?:{name}\b|{{{name}}})", value, expr)
    for name in re.findall(r"\$\{?(\w+)", expr):
        if name not in variables:
            wrong(f"{where}: there is no variable {name}")
    return re.sub(r"\$(\w+|\{\w+(:\w+)?\})", "x", expr)


def check_layout(panels, ids):
    """No two panels have one id or one place. What is in a closed row has its own
    place, as if only that row were open."""
    cells = {}
    for panel in panels:
        check_layout(panel.get("panels", []), ids)
        title, grid = panel["title"], panel["gridPos"]
        if panel["id"] in ids:
            wrong(f"{DASHBOARD.name}: two panels have the id {panel['id']}")
        ids.add(panel["id"])
        if grid["x"] + grid["w"] > 24:
            wrong(f"{DASHBOARD.name}: {title} is wider than the page")
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                if (x, y) in cells:
                    wrong(f"{DASHBOARD.name}: {title} lies over {cells[x, y]}")
                    return
                cells[x, y] = title


def check_dashboard(metrics, records, all_labels):
    """The expressions, ready for promtool."""
    dashboard = json.loads(read(DASHBOARD))
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    panels = []
    for panel in dashboard["panels"]:
        panels += [panel, *panel.get("panels", [])]
    check_layout(dashboard["panels"], set())
    queries = []
    for panel in panels:
        where = f"{DASHBOARD.name}: {panel['title']}"
        if panel["type"] == "row":
            continue
        targets = panel.get("targets", [])
        if not targets:
            wrong(f"{where}: nothing is asked")
        if len({target["refId"] for target in targets}) != len(targets):
            wrong(f"{where}: two targets have one refId")
        if not panel.get("description"):
            wrong(f"{where}: no description")
        for thing in [panel, *targets]:
            if thing["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
                wrong(f"{where}: the data source is not the variable")
        queries += [(where, target["expr"]) for target in targets]
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            queries.append((f"{DASHBOARD.name}: {annotation['name']}", annotation["expr"]))
    for variable in dashboard["templating"]["list"]:
        values = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.get("definition", ""))
        if values:
            where = f"{DASHBOARD.name}: ${variable['name']}"
            queries.append((where, f"count by ({values[2]}) ({values[1]})"))
    expressions = []
    for where, query in queries:
        expr = plain(query, variables, where)
        check_names(where, expr, metrics, records, all_labels)
        expressions.append((where, expr))
    return panels, expressions


def check_syntax(expressions):
    """Lets promtool parse each expression, as a recording rule."""
    lines = ["groups:", "  - name: dashboard", "    rules:"]
    for number, (_, expr) in enumerate(expressions):
        lines += [f"      - record: e{number}", f"        expr: {json.dumps(expr)}"]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        done = subprocess.run(
            ["promtool", "check", "rules", file.name], capture_output=True, text=True, check=False
        )
    if done.returncode == 0:
        return
    output = done.stdout + done.stderr
    named = {int(number) for number in re.findall(r'"?\be(\d+)\b"?', output)}
    for number in sorted(named & set(range(len(expressions)))):
        wrong(f"{expressions[number][0]}: {expressions[number][1]}")
    wrong(f"promtool refuses an expression of the dashboard: {output.strip()}")


def main():
    metrics = listed_metrics()
    all_rules = rules()
    # Labels that the recording rules make, beside those of metrics.
    made = {"op", "limit"}
    all_labels = set().union(*(labels for _, labels in metrics.values()), TARGET_LABELS, made, {"le"})
    alerts, records = check_rules(all_rules, metrics, all_labels)
    conditions = check_conditions(alerts)
    entries = check_runbook(alerts)
    panels, expressions = check_dashboard(metrics, records, all_labels)
    check_syntax(expressions)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        print(f"{len(problems)} wrong", file=sys.stderr)
        return 1
    recording = sum(rule["kind"] == "record" for rule in all_rules)
    shown = sum(panel["type"] != "row" for panel in panels)
    print(f"metrics: {len(metrics)}, conditions: {len(conditions)}")
    print(f"alerts: {len(alerts)}, runbook entries: {len(entries)}, recording rules: {recording}")
    print(f"dashboard: {shown} panels, {len(expressions)} expressions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
