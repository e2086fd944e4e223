// Draws the charts as SVG, from what the node has measured of itself. Each chart says in its label what it shows; with the
// arrow keys or the pointer single values are read, in all charts at the same instant.
import { rate, millis } from "./shards.js";

const ns = "http://www.w3.org/2000/svg";
let data = null; // step in seconds, end in ms, series by key
let cursor = null; // how many steps before the end is read; null: none

const formats = {
  rate: (v) => `${rate(v)}/s`,
  ms: millis,
  count: (v) => new Intl.NumberFormat("en-US").format(Math.round(v)),
  bytes: (v) => {
    for (const unit of ["B", "KB", "MB", "GB"]) {
      if (v < 999.5) return `${v >= 9.95 || unit === "B" ? Math.round(v) : v.toFixed(1)} ${unit}`;
      v /= 1000;
    }
    return `${v.toFixed(1)} TB`;
  },
};

function make(name, attributes, text) {
  const element = document.createElementNS(ns, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// nice is a round number not below v, with which an axis ends: it can be halved.
function nice(v, whole) {
  if (!(v > 0)) return whole ? 2 : 1;
  const power = 10 ** Math.floor(Math.log10(v));
  const top = [1, 2, 4, 6, 8, 10, 20].find((n) => n * power >= v * 1.02) * power;
  return whole ? Math.max(2, top) : top;
}

const bottom = 16; // for the times below
const span = 900; // seconds that a chart shows

function draw(figure) {
  const svg = figure.querySelector(".plot");
  const width = svg.clientWidth;
  const height = svg.clientHeight - bottom;
  if (!data || width < 40) return;
  const format = formats[figure.dataset.format];
  const keys = figure.dataset.lines.split(" ");
  const lines = keys.map((key) => data.series[key] ?? []);
  const top = nice(Math.max(0, ...lines.flat().filter((v) => v !== null)), figure.dataset.format === "count");
  const x = (back) => width - (back * data.step / span) * width;
  const y = (v) => height - (v / top) * (height - 4);
  const parts = [];
  for (const share of [0, 0.5, 1]) parts.push(make("line", { class: share ? "rule" : "base", x1: 0, x2: width, y1: y(top * share), y2: y(top * share) }));
  lines.forEach((line, n) => parts.push(...strokes(line, n, x, y, height)));
  for (const share of [0.5, 1]) parts.push(make("text", { class: "tick", x: 0, y: y(top * share) + 11 }, format(top * share)));
  for (const minutes of [15, 10, 5]) {
    parts.push(make("text", { class: "tick", x: x(minutes * 60 / data.step), y: height + 13, "text-anchor": minutes === 15 ? "start" : "middle" }, `${minutes} min`));
  }
  parts.push(make("text", { class: "tick", x: width, y: height + 13, "text-anchor": "end" }, "now"));
  if (cursor !== null) parts.push(...reading(keys, lines, format, x, y, width, height));
  svg.replaceChildren(...parts);
}

// strokes are the stretches of a line without gaps, and below the first line an area.
function strokes(line, n, x, y, height) {
  const parts = [];
  let points = [];
  const end = () => {
    if (points.length === 1) points.push([points[0][0] + 1, points[0][1]]);
    if (points.length) {
      const path = points.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join("L");
      if (n === 0) parts.push(make("path", { class: "area", d: `M${points[0][0].toFixed(1)} ${height}L${path}L${points.at(-1)[0].toFixed(1)} ${height}z` }));
      parts.push(make("path", { class: `line k${n}`, d: `M${path}` }));
    }
    points = [];
  };
  line.forEach((v, i) => (v === null ? end() : points.push([x(line.length - 1 - i), y(v)])));
  end();
  return parts;
}

// reading marks the values at the cursor.
function reading(keys, lines, format, x, y, width, height) {
  const values = lines.map((line) => line.at(-1 - cursor) ?? null);
  const at = x(cursor);
  const parts = [make("line", { class: "cursor", x1: at, x2: at, y1: 0, y2: height })];
  values.forEach((v, n) => v !== null && parts.push(make("circle", { class: `k${n}`, cx: at, cy: y(v), r: 3 })));
  const text = values.map((v) => (v === null ? "–" : format(v))).join(" · ");
  parts.push(make("text", { class: "read", x: at < width / 2 ? at + 6 : at - 6, y: 11, "text-anchor": at < width / 2 ? "start" : "end" }, `${clock(cursor)}  ${text}`));
  return parts;
}

function clock(back) {
  return new Date(data.end - back * data.step * 1000).toLocaleTimeString(undefined, { hourCycle: "h23" });
}

const figures = () => document.querySelectorAll("figure.chart");
let due = 0;

// settle draws all charts with the next picture.
export function settle() {
  if (!due) due = requestAnimationFrame(() => {
    due = 0;
    figures().forEach(draw);
  });
}

export function take(fresh) {
  data = fresh;
  settle();
}

function move(to, figure) {
  const longest = Math.max(1, ...Object.values(data?.series ?? {}).map((line) => line.length));
  cursor = to === null ? null : Math.min(Math.max(0, to), longest - 1);
  settle();
  if (cursor === null || !figure) return;
  const format = formats[figure.dataset.format];
  const labels = [...figure.querySelectorAll(".keys > span")].map((key) => key.childNodes[1]?.data.trim());
  const words = figure.dataset.lines.split(" ").map((key, n) => {
    const v = data.series[key]?.at(-1 - cursor) ?? null;
    return `${labels[n]} ${v === null ? "not known" : format(v)}`;
  });
  document.getElementById("said").textContent = `${clock(cursor)}: ${words.join(", ")}`;
}

export function begin() {
  const plot = (event) => event.target.closest?.(".plot");
  addEventListener("resize", settle);
  document.addEventListener("pointermove", (event) => {
    const svg = plot(event);
    if (!svg || !data) {
      if (cursor !== null && !document.activeElement?.classList.contains("plot")) move(null);
      return;
    }
    const box = svg.getBoundingClientRect();
    move(Math.round(((box.right - event.clientX) / box.width) * span / data.step));
  });
  document.addEventListener("keydown", (event) => {
    const svg = plot(event);
    if (!svg || !data) return;
    const here = cursor ?? 0;
    const to = { ArrowLeft: cursor === null ? 0 : here + 1, ArrowRight: here - 1, PageUp: here + 12, PageDown: here - 12, Home: 1e6, End: 0, Escape: null }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to, svg.closest("figure"));
  });
  document.addEventListener("focusout", (event) => plot(event) && move(null));
}
