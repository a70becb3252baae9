
// A cursor in the plots. The lines are the data: what is under the cursor is read
// back from their points, through the scales that the figure names.
"use strict";

/** A value in the largest decimal unit that leaves at least 1, to three digits. */
function scaled(value, units) {
  let i = 0;
  while (i + 1 < units.length && value >= 999.5) {
    value /= 1000;
    i += 1;
  }
  return `${digits(value)} ${units[i]}`;
}
const digits = (value) =>
  value >= 99.95 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toFixed(value >= 9.995 ? 1 : 2)));

const WORDS = {
  latency: (ns) => scaled(ns, ["ns", "µs", "ms", "s"]),
  share: (p) => `${Number((p * 100).toFixed(p < 0.99 ? 1 : 4))} %`,
  seconds: (s) => `${s.toFixed(1)} s`,
  iops: digits,
  bandwidth: (rate) => scaled(rate, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s"]),
};

/** From a place between 0 and 1 to a value in words. */
function scale(text) {
  const [kind, low, high, unit] = text.split(" ").map((word) => (Number.isNaN(Number(word)) ? word : Number(word)));
  const logit = (p) => Math.log(p / (1 - p));
  const values = {
    linear: (at) => low + at * (high - low),
    log: (at) => low * (high / low) ** at,
    logit: (at) => 1 / (1 + Math.exp(-(logit(low) + at * (logit(high) - logit(low))))),
  };
  return (at) => {
    const edge = kind === "logit" && (at <= 0 ? "up to " : at >= 1 ? "over " : "");
    return (edge || "") + WORDS[unit](values[kind](at));
  };
}

/** The height of a line at x, or null where it is not. */
function height(points, x) {
  const after = points.findIndex(([at]) => at >= x);
  if (after < 0 || (after === 0 && points[0][0] > x)) return null;
  if (after === 0) return points[0][1];
  const [[x0, y0], [x1, y1]] = [points[after - 1], points[after]];
  return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
}

for (const figure of document.querySelectorAll(".plot")) {
  const [x, y] = [scale(figure.dataset.x), scale(figure.dataset.y)];
  const area = figure.querySelector(".area");
  const svg = area.querySelector("svg");
  const [, , wide, high] = svg.getAttribute("viewBox").split(" ").map(Number);
  const lines = [...svg.querySelectorAll("polyline")].map((line) =>
    line.getAttribute("points").split(" ").map((point) => point.split(",").map(Number)));
  const when = figure.querySelector(".when");
  const keys = [...figure.querySelectorAll(".key b")];
  const cursor = svg.querySelector(".cursor");
  const cumulative = figure.dataset.y.startsWith("logit");
  let at = null; // of the cursor, from 0 to 1

  const point = (to) => {
    at = to === null ? null : Math.min(1, Math.max(0, to));
    if (at === null) {
      cursor.setAttribute("visibility", "hidden");
      for (const node of [when, ...keys]) node.textContent = node.dataset.words;
      return;
    }
    cursor.removeAttribute("visibility");
    for (const name of ["x1", "x2"]) cursor.setAttribute(name, at * wide);
    when.textContent = (cumulative ? "within " : "at ") + x(at);
    keys.forEach((key, i) => {
      const points = lines[i];
      const found = height(points, at * wide);
      const beyond = at * wide < points[0][0] ? "none" : "all";
      if (found !== null) key.textContent = y(1 - found / high);
      else key.textContent = cumulative ? beyond : "–";
    });
  };

  area.addEventListener("pointermove", (event) => {
    const box = area.getBoundingClientRect();
    point((event.clientX - box.left) / box.width);
  });
  area.addEventListener("pointerleave", () => point(null));
  area.addEventListener("blur", () => point(null));
  area.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -0.01, ArrowRight: 0.01, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 }[event.key];
    if ((step === undefined && event.key !== "Escape") || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    point(event.key === "Escape" ? null : (at ?? 0.5) + step);
  });
}
