// The status page: asks the agent every few seconds and shows what it says.
// Serials, models and messages may be hostile, so data becomes text nodes and
// nothing else. Any value may be null. Nothing here changes anything on the node.
"use strict";

const PERIOD = 5_000; // between two rounds, ms
const PATIENCE = 4_000; // for all answers of a round, ms
const LONGEST = 60_000; // between two rounds while nobody answers, ms
const WINDOW = 900; // shown in the plots, seconds
const NOTABLE = 0.2; // inodes are shown when less than this is free

const SOURCES = ["node", "conditions", "pools", "disks", "io", "plan"];
const NAMES = { critical: "Critical", warning: "Warning", info: "Info" }; // worst first
const SEVERITIES = Object.keys(NAMES);

// ---- Small tools -----------------------------------------------------------

const $ = (id) => document.getElementById(id);
const list = (value) => (Array.isArray(value) ? value.filter((v) => v !== null && v !== undefined) : []);
const num = (value) => (typeof value === "number" && Number.isFinite(value) ? value : null);
const str = (value) => (value === null || value === undefined ? "" : String(value));
const sum = (values) => values.reduce((a, b) => a + b, 0);
const many = (count, one, more = one + "s") => `${count} ${count === 1 ? one : more}`;

/** make("p.muted", child, ...): an element with classes; strings become text. */
function make(spec, ...children) {
  const [tag, ...classes] = spec.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  node.append(...children);
  return node;
}

/** The same for SVG. */
function shape(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  node.append(...children);
  return set(node, attributes);
}

/** Sets attributes; null takes one away. */
function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null) node.removeAttribute(name);
    else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }
  return node;
}

/**
 * Every text passes here. Control characters and changes of direction show as such.
 * The page is touched only on change: a selection survives, and a live region stays silent.
 */
function say(node, text) {
  const plain = text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, "\ufffd");
  if (node.textContent !== plain) node.textContent = plain;
  return node;
}

/**
 * Makes the children of `parent` follow `items`. A part is {node, update(item)} and
 * stays as long as its key does, so focus and selection stay too.
 */
const kept = new WeakMap();
function follow(parent, items, keyOf, part) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map();
  for (const item of items) {
    let key = keyOf(item);
    while (after.has(key)) key += "\0";
    after.set(key, before.get(key) ?? part(item));
    after.get(key).update(item);
  }
  for (const [key, { node }] of before) if (!after.has(key)) node.remove();
  let next = parent.firstElementChild;
  for (const { node } of after.values()) {
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  kept.set(parent, after);
}

/** A part that is one line of text. */
const line = (spec) => () => {
  const node = make(spec);
  return { node, update: (text) => say(node, text) };
};

// ---- Numbers and times in words --------------------------------------------

/** A value in the largest decimal unit that leaves at least 1; one digit less below 100. */
function scaled(value, units, digits) {
  if (num(value) === null) return "–";
  let i = 0;
  while (i + 1 < units.length && Number(value.toPrecision(digits)) >= 1000) {
    value /= 1000;
    i += 1;
  }
  return `${value < 0.05 ? 0 : Number(value.toPrecision(value < 100 ? digits - 1 : digits))} ${units[i]}`;
}
const BYTES = ["B", "kB", "MB", "GB", "TB", "PB"];
const RATES = BYTES.map((unit) => unit + "/s");
const TIMES = ["µs", "ms", "s"];
const size = (value) => scaled(value, BYTES, 4);
const rate = (value) => scaled(value, RATES, 3);
const latency = (value) => scaled(value, TIMES, 3);

function percent(ratio) {
  if (num(ratio) === null) return "–";
  const points = ratio * 100;
  return `${points > 0 && points < 1 ? "< 1" : Math.round(points)} %`;
}

const celsius = (value) => (num(value) === null ? "–" : `${Math.round(value)} °C`);

function count(value) {
  if (num(value) === null) return "–";
  return value < 10 ? String(Math.round(value * 10) / 10) : Math.round(value).toLocaleString("en-US");
}

// The node's clock minus ours, ms: ages are told by the node's.
let skew = 0;
const now = () => Date.now() + skew;

function utc(ms) {
  if (!(Math.abs(ms) <= 8.64e15)) return "–"; // beyond what a Date can hold
  const iso = new Date(ms).toISOString();
  const today = new Date(now()).toISOString().startsWith(iso.slice(0, 10));
  return `${today ? "" : iso.slice(0, 10) + " "}${iso.slice(11, 19)} UTC`;
}

function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

/** "12 min ago, 19:00:05 UTC" in a <time>; no clock without a moment. */
function moment(node, text) {
  const at = Date.parse(str(text));
  const valid = !Number.isNaN(at) && Math.abs(at) < 8e15;
  set(node, { datetime: valid ? new Date(at).toISOString() : null });
  say(node, valid ? `${span(now() - at)} ago, ${utc(at)}` : "since when is not known");
}

/** "DiskGone" to "Disk gone". */
const words = (type) => (str(type) || "Condition").replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);

/** "DiskGone" to "Gone", where it is clear that it is about a disk. */
const brief = (type) => words(type).replace(/^(?:Disk|Pool) (.)/, (_, c) => c.toUpperCase());

// ---- What was said ---------------------------------------------------------

// By source: {data, at (by our clock), problem}. Old data stays until there is newer.
const said = new Map(SOURCES.map((source) => [source, { data: null, at: null, problem: null }]));
const get = (source) => said.get(source).data ?? {};
let failures = 0; // rounds since anything answered
let due = null; // when the next round is, by our clock
let paused = false;

const severity = (condition) => (SEVERITIES.includes(condition.severity) ? condition.severity : "warning");
const rank = (condition) => SEVERITIES.indexOf(severity(condition));
const started = (condition) => Date.parse(str(condition.since)) || 0;

/** Worst first, and of equals the newest first. */
function conditions(object) {
  return list(get("conditions").conditions)
    .filter((c) => object === undefined || c.object === object)
    .sort((a, b) => rank(a) - rank(b) || started(b) - started(a));
}

const byName = (a, b) => str(a).localeCompare(str(b), "en", { numeric: true });

// ---- Header ----------------------------------------------------------------

function drawHeader() {
  const node = get("node");
  const host = str(node.hostname) || "instore";
  say($("host"), host);
  const facts = [
    node.version && `instore ${node.version}`,
    node.cloud && (node.cloud === "unknown" ? "cloud unknown" : str(node.cloud)),
    node.kernel && `Linux ${node.kernel}`,
    get("conditions").since && `agent started ${span(now() - Date.parse(get("conditions").since))} ago`,
  ];
  say($("about"), facts.filter((f) => f && !f.includes("NaN")).join(" · "));
  const [tone, text, short] = state();
  set($("state"), { class: tone });
  say($("state"), text);
  document.title = `${short} – ${host}`;
}

/** The whole node in one line: its tone, the line, and two words for the title. */
function state() {
  const answers = said.get("conditions");
  if (failures > 0 && answers.data) return ["", "The agent does not answer. What it said last is below.", "No answer"];
  if (failures > 0) return ["", "The agent does not answer, so there is nothing to show yet.", "No answer"];
  if (answers.problem) return ["", "The agent answers, but does not tell its state.", "Unknown"];
  if (!answers.data) return ["", "", "instore"];
  const ready = answers.data.ready === true;
  const bad = conditions().filter((c) => severity(c) !== "info");
  const used = list(get("disks").disks).filter((d) => d.verdict === "use").length;
  const pools = list(get("pools").pools).length;
  const start = ready ? "Ready" : "Not ready";
  if (bad.length === 0) {
    const text = ready
      ? `Ready. ${used ? many(used, "disk") : "No disks"}, ${pools ? many(pools, "pool") : "no pools"}.`
      : "Not ready. The agent gives no reason.";
    return [ready ? "good" : "warning", text, start];
  }
  const object = str(bad[0].object);
  const more = bad.length > 1 ? ` And ${many(bad.length - 1, "other condition")}.` : "";
  const about = object && object !== "node" ? `: ${object}` : "";
  const text = `${start}. ${words(bad[0].type)}${about}.${more}`;
  return [severity(bad[0]), text, severity(bad[0]) === "critical" ? "Critical" : start];
}

/** How old the page is. Changes every second, so it is not part of the live region. */
function drawAge() {
  const at = Math.max(...SOURCES.map((source) => said.get(source).at ?? 0));
  const wait = due === null ? " Trying again." : ` Trying again in ${span(due - Date.now())}.`;
  let text = at ? `Updated ${utc(at + skew)}, every ${PERIOD / 1000} s.` : "";
  if (paused) text = at ? `Paused. Shown is ${utc(at + skew)}, ${span(Date.now() - at)} ago.` : "Paused.";
  else if (failures > 0) {
    const last = at ? `Last answer ${span(Date.now() - at)} ago, ${utc(at + skew)}` : "No answer yet";
    text = `${last}: ${said.get("conditions").problem}.${wait}`;
  }
  say($("age"), text);
}

// ---- Conditions ------------------------------------------------------------

function drawConditions(body) {
  const all = conditions();
  if (all.length) return follow(body, [all], () => "list", conditionList);
  const text = said.get("conditions").problem ? "None when the agent answered last." : "None. Nothing needs attention.";
  follow(body, [text], () => "none", line("p.empty"));
}

function conditionList() {
  const node = make("ul");
  return { node, update: (all) => follow(node, all, (c) => `${c.type} ${c.object}`, conditionPart) };
}

function conditionPart() {
  const [badge, title, about, since] = [make("span.badge"), make("h3"), make("bdi.muted"), make("time.muted")];
  const [message, action] = [make("p"), make("bdi")];
  const todo = make("p", make("strong", "What to do: "), action);
  const node = make("li.card.condition", make("div.top", badge, title, about, since), message, todo);
  return {
    node,
    update(c) {
      node.className = `card condition ${severity(c)}`;
      say(badge, NAMES[severity(c)]);
      say(title, words(c.type));
      say(about, str(c.object));
      moment(since, c.since);
      say(message, str(c.message));
      say(action, str(c.action));
      todo.hidden = !c.action;
    },
  };
}

// ---- Pools -----------------------------------------------------------------

function drawPools(body) {
  const pools = list(get("pools").pools).sort((a, b) => byName(a.label, b.label));
  if (pools.length) follow(body, pools, (p) => str(p.label), poolPart);
  else follow(body, ["No pools. No disk of this node holds a filesystem of ours."], () => "\0none", line("p.empty"));
}

function poolPart() {
  const [title, badge, free, of] = [make("h3"), make("span.badge"), make("strong"), make("span.muted")];
  const filled = shape("rect", { height: "100%" });
  const bar = shape("svg", { role: "meter", "aria-label": "Filled", "aria-valuemin": 0, "aria-valuemax": 100 }, filled);
  const facts = make("dl");
  const node = make("article.card.pool", make("div.top", title, badge), make("p.free", free, of), bar, facts);
  return {
    node,
    update(pool) {
      const [whole, left] = [num(pool.size_bytes), num(pool.free_bytes)];
      const known = whole > 0 && left !== null;
      const used = known ? Math.min(1, Math.max(0, 1 - left / whole)) : null;
      say(title, str(pool.mount) || str(pool.label) || "pool");
      const [tone, text] = poolState(pool);
      badge.className = `badge ${tone}`;
      say(badge, text);
      say(free, known ? `${size(left)} free` : "Free space not known");
      say(of, known ? `of ${size(whole)}, ${percent(used)} used` : "");
      set(bar, {
        class: used !== null && used > 0.95 ? "bar warning" : "bar",
        "aria-valuenow": Math.round((used ?? 0) * 100),
        "aria-valuetext": known ? `${percent(used)} used, ${size(left)} free of ${size(whole)}` : "not known",
      });
      set(filled, { width: `${((used ?? 0) * 100).toFixed(2)}%` });
      follow(facts, poolFacts(pool), ([term]) => term, factPart);
    },
  };
}

/** The worst that is known of a pool, else how it is. */
function poolState(pool) {
  const [worst] = conditions(`pool ${pool.label}`);
  if (worst) return [severity(worst), brief(worst.type)];
  if (pool.mounted === false) return ["critical", "Not mounted"];
  if (pool.read_only === true) return ["critical", "Read-only"];
  return pool.mounted === true ? ["good", "Mounted"] : ["", "Not known"];
}

function poolFacts(pool) {
  const [inodes, left] = [num(pool.inodes), num(pool.inodes_free)];
  const missing = num(pool.disks_missing) ?? 0;
  const members = list(pool.disks).length;
  const level = str(pool.level) || (members > 1 ? "" : "one disk");
  const array = pool.array_state && !["clean", "active", "active-idle", "write-pending"].includes(pool.array_state);
  const at = Date.parse(str(pool.formatted_at));
  return [
    ["Pool", str(pool.label)],
    ["Filesystem", [str(pool.fs), level && `on ${level}`, pool.device && `(${pool.device})`].filter(Boolean).join(" ")],
    ["Disks", `${members}${missing ? ` (${missing} missing)` : ""}`],
    array && ["Array", str(pool.array_state)],
    inodes > 0 && left !== null && left / inodes < NOTABLE &&
      ["Inodes", `${percent(1 - left / inodes)} used, ${count(left)} of ${count(inodes)} free`],
    !Number.isNaN(at) && ["Formatted", `${span(now() - at)} ago, ${utc(at)}`],
    pool.uuid && ["UUID", str(pool.uuid)],
    pool.generation && ["Generation", str(pool.generation)],
  ].filter(Boolean);
}

function factPart([term]) {
  const value = make("dd");
  return { node: make("div", make("dt", term), value), update: ([, text]) => say(value, text) };
}

// ---- Disks -----------------------------------------------------------------

function drawDisks() {
  const all = list(get("disks").disks);
  const named = all.filter((d) => d.verdict !== "ignored");
  const others = all.filter((d) => d.verdict === "ignored").sort((a, b) => byName(a.device, b.device));
  const trouble = (disk) => rank(conditions(`disk ${disk.id}`)[0] ?? { severity: "info" });
  named.sort((a, b) => trouble(a) - trouble(b) || byName(a.device, b.device));
  $("no-disks").hidden = named.length > 0;
  const none = all.length ? "No rule names a disk of this node." : "No disks. The agent sees no block device on this node.";
  say($("no-disks"), none);
  $("disk-scroll").hidden = named.length === 0;
  follow($("disk-rows"), named, (d) => str(d.id), diskPart);
  $("ignored").hidden = others.length === 0;
  say($("ignored").firstElementChild, `${many(others.length, "other block device")}, left alone`);
  follow($("ignored").lastElementChild, others, (d) => `${d.id} ${d.device}`, () => {
    const node = make("li");
    return { node, update: (d) => say(node, [d.device, d.model, size(d.size_bytes), d.reason].filter(Boolean).join(" · ")) };
  });
}

// The plain cells of a row: label on a phone, value.
const CELLS = [
  ["Read", (d) => rate(d.io?.read_bytes_per_second)],
  ["Read IOPS", (d) => count(d.io?.reads_per_second)],
  ["Read latency", (d) => latency(d.io?.read_latency_microseconds)],
  ["Write", (d) => rate(d.io?.write_bytes_per_second)],
  ["Write IOPS", (d) => count(d.io?.writes_per_second)],
  ["Write latency", (d) => latency(d.io?.write_latency_microseconds)],
  ["Busy", (d) => percent(d.io?.busy_ratio)],
  ["Temperature", (d) => celsius(d.health?.temperature_celsius)],
  ["Wear", (d) => percent(d.health?.used_ratio)],
];

function diskPart() {
  const cell = (spec, label, ...children) => set(make(`td${spec}`, ...children), { role: "cell", "data-label": label });
  const [device, id, model] = [make("strong"), make("code"), make("span.line.muted")];
  const [verdict, reason, badge, more] = [make("strong"), make("bdi"), make("span.badge"), make("bdi.line")];
  const whole = cell(".n", "Size");
  const cells = CELLS.map(([label]) => cell(".n", label));
  const head = set(make("th", device, " ", id, model), { role: "rowheader", scope: "row" });
  const node = make("tr", head, whole, cell(".reason", "Verdict", verdict, reason), cell(".wide", "State", badge, more), ...cells);
  set(node, { role: "row" });
  return {
    node,
    update(disk) {
      const [tone, text, extra] = diskState(disk);
      node.className = tone;
      say(device, str(disk.device) || "no device");
      say(id, str(disk.id));
      say(model, str(disk.model));
      say(whole, size(disk.size_bytes));
      say(verdict, str(disk.verdict) || "not known");
      say(reason, disk.reason ? `: ${disk.reason}` : "");
      badge.className = `badge ${tone}`;
      say(badge, text);
      say(more, extra);
      CELLS.forEach(([, value], i) => {
        say(cells[i], value(disk));
        cells[i].classList.toggle("none", cells[i].textContent === "–");
      });
    },
  };
}

/** The tone, a word or two, and what SMART adds. */
function diskState(disk) {
  const [worst] = conditions(`disk ${disk.id}`);
  const warnings = list(disk.health?.critical_warnings);
  const errors = num(disk.health?.media_errors) ?? 0;
  const extra = [
    disk.pool && `in ${disk.pool}`,
    warnings.length && `SMART: ${warnings.join(", ").replaceAll("_", " ")}`,
    errors > 0 && many(errors, "media error"),
  ].filter(Boolean).join("; ");
  if (worst) return [severity(worst), brief(worst.type), extra];
  if (disk.verdict === "gone") return ["warning", "Gone", extra];
  if (disk.verdict === "refused") return ["warning", "Left alone", extra];
  if (warnings.length) return ["warning", "SMART warning", extra];
  if (disk.verdict !== "use") return ["", "Not in use", extra];
  return disk.pool ? ["good", "Fine", extra] : ["", "Not yet in use", extra];
}

// ---- Plots -----------------------------------------------------------------

const KINDS = [
  { name: "Throughput", units: RATES, word: rate, least: 1000 },
  { name: "Latency", units: TIMES, word: latency, least: 10 },
];
const LINES = ["Read", "Write"];
const [WIDE, HIGH] = [1000, 200]; // of the drawing; the style sheet stretches it
const [SMALL, LARGE] = [3, 4]; // plots, by how many steps their axis has at most

let samples = { count: 2, step: 5, end: 0, fresh: true }; // of the series now shown
let cursor = null; // the sample that the pointer or the keyboard is at
const plots = new Set(); // all of them, to move their cursors together

/** One series, oldest first, as long as the plot: a shorter one is at its end. */
function series(values) {
  const tail = Array.isArray(values) ? values.slice(-samples.count) : [];
  return [...Array(samples.count - tail.length).fill(null), ...tail.map(num)];
}

/**
 * What is plotted of some disks together, by kind: [read, write]. Throughputs are added;
 * latency is the mean over all operations. A gap is where no disk has a sample.
 */
function together(disks) {
  const each = (fold) => Array.from({ length: samples.count }, (_, i) => fold(i));
  const total = (name) => {
    const all = disks.map((d) => series(d[name]));
    return each((i) => {
      const values = all.map((s) => s[i]).filter((v) => v !== null);
      return values.length ? sum(values) : null;
    });
  };
  const mean = (name, operations) => {
    if (disks.length === 1) return series(disks[0][name]);
    const all = disks.map((d) => [series(d[name]), series(d[operations])]);
    return each((i) => {
      const pairs = all.map(([v, w]) => [v[i], w[i]]).filter(([v, w]) => v !== null && w > 0);
      return pairs.length ? sum(pairs.map(([v, w]) => v * w)) / sum(pairs.map(([, w]) => w)) : null;
    });
  };
  return [
    [total("read_bytes_per_second"), total("write_bytes_per_second")],
    [mean("read_latency_microseconds", "reads_per_second"), mean("write_latency_microseconds", "writes_per_second")],
  ];
}

const highest = (values) => values.reduce((a, b) => Math.max(a, b ?? 0), 0);

function drawActivity() {
  const io = get("io");
  const step = num(io.interval_seconds) > 0 ? io.interval_seconds : 5;
  const end = num(io.end) === null ? now() : io.end * 1000;
  const length = Math.min(1000, Math.max(2, Math.round(WINDOW / step)));
  samples = { count: length, step: step * 1000, end, fresh: now() - end < 4000 * step };
  const disks = list(io.disks).sort((a, b) => byName(a.device, b.device));
  const each = disks.map((disk) => ({ disk, values: together([disk]) }));
  const any = each.some(({ values }) => values[0].flat().some((v) => v !== null));
  $("no-samples").hidden = any;
  const soon = `No samples yet. The first comes ${step} s after the start of the agent.`;
  say($("no-samples"), disks.length ? soon : "No disk to measure.");
  if (any && !samples.fresh && !said.get("io").problem) note("activity", `The newest sample is ${span(now() - end)} old.`);

  // A pool of one disk looks like its disk, so it is drawn only if it is alone.
  const pools = new Map();
  for (const disk of disks) if (disk.pool) pools.set(disk.pool, [...(pools.get(disk.pool) ?? []), disk]);
  const drawn = any ? [...pools].filter(([, members]) => members.length > 1 || pools.size === 1) : [];
  drawn.sort(([a], [b]) => byName(a, b));
  follow($("pool-plots"), drawn, ([label]) => label, groupPart);

  const small = any && !(disks.length === 1 && drawn.length === 1) ? each : [];
  const tops = KINDS.map((_, k) => highest(small.flatMap(({ values }) => values[k].map(highest))));
  $("each").hidden = small.length === 0;
  follow($("disk-plots"), small.map((one) => ({ ...one, tops })), ({ disk }) => str(disk.id), miniPart);
  point(cursor);
}

/** A pool: its disks taken together, large. */
function groupPart() {
  const [title, about] = [make("h3"), make("p.muted")];
  const parts = KINDS.map((kind) => plotPart(kind, LARGE));
  const node = make("article.card", title, about, make("div.pair", ...parts.map((p) => p.node)));
  return {
    node,
    update([label, members]) {
      const pool = list(get("pools").pools).find((p) => p.label === label);
      say(title, pool?.mount ? `${pool.mount}, pool ${label}` : `Pool ${label}`);
      const several = `${members.length} disks: throughput added up, latency as the mean over all operations.`;
      say(about, members.length > 1 ? several : "One disk.");
      const values = together(members);
      parts.forEach((part, k) => part.update({ what: `pool ${label}`, lines: values[k], top: highest(values[k].map(highest)) }));
    },
  };
}

/** A disk, small, on the scale of all disks. */
function miniPart() {
  const [device, id] = [make("bdi"), make("code.muted")];
  const parts = KINDS.map((kind) => plotPart(kind, SMALL));
  const node = make("article.card.mini", make("h4", device, " ", id), make("div.pair", ...parts.map((p) => p.node)));
  return {
    node,
    update({ disk, values, tops }) {
      say(device, str(disk.device) || "no device");
      say(id, str(disk.id));
      parts.forEach((part, k) => part.update({ what: `disk ${disk.id}`, lines: values[k], top: tops[k] }));
    },
  };
}

/** Round steps from 0 up to at least `top`, in as few as fit. */
function ticks(top, pieces) {
  const power = 10 ** Math.floor(Math.log10(top / pieces));
  const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s * pieces >= top * (1 - 1e-9));
  return Array.from({ length: Math.ceil(top / step - 1e-9) + 1 }, (_, i) => i * step);
}

/** Labels of an axis: one unit for all. */
function labels(values, units) {
  const top = values[values.length - 1];
  let i = 0;
  while (i + 1 < units.length && top >= 1000 ** (i + 1)) i += 1;
  return values.map((v) => (v === 0 ? "0" : `${Number((v / 1000 ** i).toPrecision(6))} ${units[i]}`));
}

/** Writes the labels of an axis. */
function relabel(axis, texts) {
  while (axis.children.length > texts.length) axis.lastChild.remove();
  texts.forEach((text, i) => say(axis.children[i] ?? axis.appendChild(make("span")), text));
}

/** Runs of samples without a gap, as points. A lone sample becomes a short dash. */
function runs(values, top) {
  const found = [];
  const step = WIDE / (values.length - 1);
  const xy = (x, value) => `${x.toFixed(1)},${(HIGH - (value / top) * HIGH).toFixed(1)}`;
  values.forEach((value, i) => {
    if (value === null) return;
    const lone = (values[i - 1] ?? null) === null && (values[i + 1] ?? null) === null;
    if ((values[i - 1] ?? null) === null) found.push({ from: i * step, points: [] });
    const run = found[found.length - 1];
    run.points.push(...(lone ? [xy((i - 0.4) * step, value), xy((i + 0.4) * step, value)] : [xy(i * step, value)]));
    run.to = i * step;
  });
  return found;
}

/** The sign of a line in the legend: reads are filled below, writes are not. */
const sign = (name) => shape("svg", { viewBox: "0 0 14 10", "aria-hidden": "true" },
  ...(name === "read" ? [shape("polygon", { class: "read", points: "0,3 14,3 14,10 0,10" })] : []),
  shape("polyline", { class: name, points: "0,3 14,3" }));

/** One plot. A large one can be walked with the arrow keys, as a slider in time. */
function plotPart(kind, pieces) {
  const large = pieces === LARGE;
  const when = make("span.when");
  const keys = LINES.map((name) => ({ value: make("b"), peak: make("span.muted"), name }));
  const legend = keys.map(({ name, value, peak }) => {
    const key = make("span.key", sign(name.toLowerCase()), name, value);
    if (large) key.append(peak);
    return key;
  });
  const caption = make("figcaption", make("strong", kind.name), when, make("div.keys", ...legend));
  const [below, above] = [shape("g", {}), shape("line", { class: "cursor", y1: 0, y2: HIGH })];
  const svg = shape("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", "aria-hidden": "true" }, below, above);
  const area = set(make("div.area", svg), large ? { role: "slider", tabindex: 0, "aria-valuemin": 0 } : { role: "img" });
  const [y, x] = [set(make("div.y"), { "aria-hidden": "true" }), set(make("div.x"), { "aria-hidden": "true" })];
  const node = make("figure", caption, make("div.chart", y, area, x));
  let lines = [[], []];

  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    point(Math.round(((event.clientX - box.left) / box.width) * (samples.count - 1)));
  });
  area.addEventListener("pointerleave", () => point(null));
  area.addEventListener("blur", () => point(null));
  area.addEventListener("keydown", (event) => {
    const at = cursor ?? samples.count - 1;
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -12, PageUp: 12, Home: -at, End: samples.count };
    const by = steps[event.key];
    if ((by === undefined && event.key !== "Escape") || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    point(event.key === "Escape" ? null : at + by);
  });

  const plot = {
    node,
    update(item) {
      lines = item.lines;
      const steps = ticks(Math.max(item.top, kind.least), pieces);
      const top = steps[steps.length - 1];
      relabel(y, labels(steps, kind.units).reverse());
      const parts = large ? [0, 1 / 3, 2 / 3, 1] : [0, 1];
      const end = samples.fresh ? "now" : utc(samples.end);
      relabel(x, parts.map((f) => (f < 1 ? `−${Math.round((1 - f) * (WINDOW / 60))} min` : end)));
      below.replaceChildren(
        ...steps.map((s) => HIGH - (s / top) * HIGH).map((at) => shape("line", { class: "grid", x1: 0, x2: WIDE, y1: at, y2: at })),
        ...parts.slice(1, -1).map((f) => shape("line", { class: "grid", x1: f * WIDE, x2: f * WIDE, y1: 0, y2: HIGH })));
      lines.forEach((values, l) => {
        const name = LINES[l].toLowerCase();
        for (const { from, to, points } of runs(values, top)) {
          const around = [`${from.toFixed(1)},${HIGH}`, ...points, `${to.toFixed(1)},${HIGH}`];
          if (l === 0) below.append(shape("polygon", { class: name, points: around.join(" ") }));
          below.append(shape("polyline", { class: name, points: points.join(" ") }));
        }
        say(keys[l].peak, `peak ${kind.word(highest(values))}`);
      });
      set(area, { "aria-label": summary(kind, item.what, lines), "aria-valuemax": large ? samples.count - 1 : null });
    },
    /** Shows the sample under the cursor, or the newest. */
    mark() {
      const at = cursor ?? samples.count - 1;
      const time = cursor === null && samples.fresh ? "now" : utc(samples.end - (samples.count - 1 - at) * samples.step);
      const place = ((at / (samples.count - 1)) * WIDE).toFixed(1);
      set(above, { x1: place, x2: place, visibility: cursor === null ? "hidden" : null });
      keys.forEach(({ value }, l) => say(value, kind.word(lines[l][at] ?? null)));
      say(when, time);
      const text = LINES.map((name, l) => `${name} ${kind.word(lines[l][at] ?? null)}`).join(", ");
      if (large) set(area, { "aria-valuenow": at, "aria-valuetext": `${time}: ${text}` });
    },
  };
  plots.add(plot);
  return plot;
}

/** A plot in words, for those who do not see it. */
function summary(kind, what, lines) {
  const sentences = lines.map((values, l) => {
    const known = values.filter((v) => v !== null);
    if (!known.length) return `${LINES[l]}: no samples.`;
    const gaps = values.length - known.length;
    return `${LINES[l]}: now ${kind.word(values[values.length - 1])}, mean ${kind.word(sum(known) / known.length)}, ` +
      `highest ${kind.word(highest(known))}${gaps ? `, nothing in ${gaps} of ${values.length} samples` : ""}.`;
  });
  return `${kind.name} of ${what} in the last ${WINDOW / 60} minutes. ${sentences.join(" ")}`;
}

/** Moves the cursor of every plot to a sample, or away. */
function point(to) {
  cursor = to === null ? null : Math.min(samples.count - 1, Math.max(0, to));
  for (const plot of plots) {
    if (plot.node.isConnected) plot.mark();
    else plots.delete(plot);
  }
}

// ---- Plan ------------------------------------------------------------------

const STEPS = {
  stop_array: () => "stop the array that was not finished",
  claim: () => "check again that the disks are empty, and claim them",
  create_array: (s) => `create a ${str(s.level)} array`,
  assemble_array: (s) => `assemble array ${str(s.uuid)}`,
  make_filesystem: (s) => `make an ${str(s.fs)} filesystem`,
  finish: () => "clear the claims: the filesystem is complete",
  mount: () => "mount it",
};
const stepWords = (step) => {
  const name = str(step.do);
  return Object.hasOwn(STEPS, name) ? STEPS[name](step) : name.replaceAll("_", " ");
};

function drawPlan(body) {
  const plan = get("plan");
  const pools = list(plan.pools)
    .map((pool) => {
      const title = `${str(pool.label)} at ${str(pool.at)}, ${many(list(pool.disks).length, "disk")}`;
      return [title, list(pool.steps).map(stepWords)];
    })
    .filter(([, steps]) => steps.length);
  const groups = [
    ["Blocked, until a person decides", list(plan.blockers), "critical"],
    ["Arrays that lack a disk", list(plan.incomplete)],
    ...pools,
    ["Directories to bind to the pool", list(plan.binds)],
    ["Notes", list(plan.notes)],
  ].filter(([, lines]) => lines.length);
  $("plan").hidden = groups.length === 0 && (failures > 0 || !said.get("plan").problem);
  follow(body, groups, ([title]) => title, ([first, , tone]) => {
    const title = make("h3", first);
    const isSteps = pools.some(([t]) => t === first);
    const lines = make(isSteps ? "ol" : "ul");
    return {
      node: make(tone ? `article.card.condition.${tone}` : "article.card", title, lines),
      update: ([, texts]) => follow(lines, texts.map((t) => str(t)), String, line("li")),
    };
  });
}

// ---- The page --------------------------------------------------------------

const SECTIONS = [
  ["conditions", "conditions", drawConditions],
  ["pools", "pools", drawPools],
  ["disks", "disks", drawDisks],
  ["activity", "io", drawActivity],
  ["plan", "plan", drawPlan],
];

function note(id, text) {
  const node = $(id).querySelector(".note");
  node.hidden = !text;
  say(node, text);
}

function drawAll() {
  drawHeader();
  drawAge();
  $("fresh").hidden = false;
  for (const [id, source, drawSection] of SECTIONS) {
    const { data, at, problem } = said.get(source);
    $(id).hidden = !data && (!problem || failures > 0);
    $(id).classList.toggle("stale", problem !== null);
    // When nothing answers, the header says so once for all.
    const old = at ? `Not updated for ${span(Date.now() - at)}` : "Not known";
    note(id, problem && failures === 0 ? `${old}: ${problem}.` : "");
    if (!data) continue;
    try {
      drawSection($(id).querySelector(".body"));
    } catch (error) {
      // An answer of a shape we do not know spoils its own section only.
      note(id, `This section cannot be shown: ${error.message}.`);
    }
  }
  $("nav").hidden = SECTIONS.every(([id]) => $(id).hidden);
  for (const link of $("nav").children) link.hidden = $(link.hash.slice(1)).hidden;
}

async function ask(source, signal) {
  const entry = said.get(source);
  try {
    const answer = await fetch(`api/v1/${source}`, { signal, cache: "no-store" });
    if (!answer.ok) throw new Error(`the agent answers ${answer.status}`);
    const ahead = Date.parse(answer.headers.get("date") ?? "") - Date.now();
    const data = await answer.json();
    if (data === null || typeof data !== "object") throw new Error("the answer is not an object");
    // A small difference says nothing: the header counts whole seconds and was on its way.
    skew = Math.abs(ahead) > PATIENCE + 1_000 ? ahead : 0;
    Object.assign(entry, { data, at: Date.now(), problem: null });
    return true;
  } catch (error) {
    const late = `no answer within ${PATIENCE / 1000} s`;
    const known = { AbortError: late, TypeError: "no connection", SyntaxError: "the answer is not JSON" };
    entry.problem = known[error.name] ?? error.message;
    return false;
  }
}

let timer = null;
let asking = false;

async function round() {
  if (asking || paused || document.hidden) return;
  asking = true;
  clearTimeout(timer);
  due = null;
  const patience = new AbortController();
  const alarm = setTimeout(() => patience.abort(), PATIENCE);
  const answered = await Promise.all(SOURCES.map((source) => ask(source, patience.signal)));
  clearTimeout(alarm);
  asking = false;
  failures = answered.includes(true) ? 0 : failures + 1;
  const wait = Math.min(LONGEST, PERIOD * 2 ** Math.max(0, failures - 1));
  due = Date.now() + wait;
  if (!paused) timer = setTimeout(round, wait);
  drawAll();
}

$("pause").addEventListener("click", () => {
  paused = !paused;
  set($("pause"), { "aria-pressed": paused });
  clearTimeout(timer);
  drawAge();
  round();
});
// A hidden tab asks nothing; when it is looked at again it asks at once.
document.addEventListener("visibilitychange", () => round());
setInterval(() => {
  if (!document.hidden) drawAge();
}, 1000);
round();
