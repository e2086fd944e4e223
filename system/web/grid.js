// The shards as squares, and what chooses among them. Every second or two the node sends columns; only what they change on the
// screen is touched.
import { all, at, facts, filter, keep, measures, plain, states, urgency, wanted } from "./shards.js";
import { again, columns, frame, list } from "./table.js";

const find = (id) => document.getElementById(id);
const pools = find("pools");
const toolbar = find("toolbar");
const table = find("table");
const card = find("card");

// take is told new columns.
export function take(columns) {
  for (const [id, state] of keep(columns)) news.set(id, state);
  announce();
  apply();
}

// settle is called when the server's HTML has changed something.
export function settle() {
  if (pools && all.id.length) apply();
  else if (pools) rove();
}

const squares = () => [...pools.querySelectorAll(".sq[data-id]")];
const shown = () => squares().filter((square) => !("out" in square.dataset));

function set(element, name, value) {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

function apply() {
  if (!toolbar) return;
  const fits = filter();
  let count = 0;
  for (const fit of fits) count += fit;
  const found = find("found");
  const text = wanted.text || wanted.states.size ? `${plain.format(count)} of ${plain.format(all.id.length)} shards` : "";
  if (found.textContent !== text) found.textContent = text;
  for (const chip of document.querySelectorAll("#states [data-state] .chip")) {
    set(chip, "aria-pressed", wanted.states.has(chip.parentElement.dataset.state));
  }
  pools.hidden = wanted.view !== "grid";
  table.hidden = wanted.view !== "table";
  find("measures").hidden = wanted.view !== "grid";
  if (wanted.view === "grid") draw(fits);
  else list(fits);
  if (!card.hidden && card.dataset.id) explain(find("pools").querySelector(`[data-id="${card.dataset.id}"]`));
}

// The grid.

function draw(fits) {
  const measure = measures[wanted.measure];
  set(pools, "data-measure", measure ? wanted.measure : null);
  let anything = false;
  for (const pool of pools.children) {
    let some = false;
    for (const square of pool.lastElementChild.children) {
      const i = at.get(+square.dataset.id);
      const out = i !== undefined && !fits[i];
      some ||= !out;
      set(square, "data-out", out ? "" : null);
      const v = i !== undefined && measure && all.state[i] === "." ? measure.value(i) : null;
      set(square, "data-level", v === null ? null : measure.level(v));
      set(square, "data-value", v === null ? null : measure.brief(v));
    }
    anything ||= some;
    set(pool, "data-out", some ? null : "");
  }
  set(pools, "data-empty", anything ? null : "");
  rove();
}

// rove leaves one square that Tab reaches; arrows go on from there.
function rove() {
  const current = pools.querySelector('.sq[tabindex="0"]:not([data-out])');
  const list = squares();
  const next = current ?? list.find((square) => !("out" in square.dataset));
  for (const square of list) set(square, "tabindex", square === next ? 0 : -1);
}

function go(square) {
  if (!square) return;
  for (const other of pools.querySelectorAll('.sq[tabindex="0"]')) set(other, "tabindex", -1);
  set(square, "tabindex", 0);
  square.focus();
}

// beside finds the square above or below: the nearest one in the next row.
function beside(from, down) {
  const box = from.getBoundingClientRect();
  let best = null;
  let nearest = Infinity;
  for (const square of shown()) {
    const other = square.getBoundingClientRect();
    const rows = down ? other.top - box.top : box.top - other.top;
    if (rows < box.height / 2) continue;
    const distance = rows * 4 + Math.abs(other.left - box.left); // a row further is worse than some columns aside
    if (distance < nearest) [best, nearest] = [square, distance];
  }
  return best;
}

function keys(event) {
  const square = event.target.closest(".sq[data-id]");
  if (!square || event.altKey || event.metaKey) return;
  const list = shown();
  const i = list.indexOf(square);
  const pool = (step) => {
    const blocks = [...pools.children].filter((block) => !("out" in block.dataset));
    const next = blocks[blocks.indexOf(square.closest(".pool")) + step];
    return next?.querySelector(".sq:not([data-out])");
  };
  const row = shown().filter((other) => Math.abs(other.offsetTop - square.offsetTop) < 3 && other.parentElement === square.parentElement);
  const to = {
    ArrowRight: () => list[i + 1], ArrowLeft: () => list[i - 1], ArrowDown: () => beside(square, true), ArrowUp: () => beside(square, false),
    Home: () => (event.ctrlKey ? list[0] : row[0]), End: () => (event.ctrlKey ? list.at(-1) : row.at(-1)),
    PageDown: () => pool(1), PageUp: () => pool(-1),
  }[event.key];
  if (event.key === "Escape") hide();
  if (!to) return;
  event.preventDefault();
  go(to());
}

// The card says what a title would, but also to who uses a keyboard.
function explain(square) {
  const i = square ? at.get(+square.dataset.id) : undefined;
  if (i === undefined || "out" in square.dataset) return hide();
  const list = facts(i);
  square.ariaLabel = `Shard ${all.id[i]}: ${list.map(([label, value]) => (label === "State" ? value : `${label.toLowerCase()} ${value}`)).join(", ")}`;
  const head = document.createElement("h4");
  head.textContent = `Shard ${all.id[i]}`;
  const body = document.createElement("dl");
  for (const [label, value] of list) {
    const dt = document.createElement("dt");
    const dd = document.createElement("dd");
    dt.textContent = label;
    dd.textContent = value;
    body.append(dt, dd);
  }
  card.replaceChildren(head, body);
  card.dataset.id = all.id[i];
  card.hidden = false;
  const box = square.getBoundingClientRect();
  const left = Math.min(box.left, document.documentElement.clientWidth - card.offsetWidth - 8);
  const below = box.bottom + 8 + card.offsetHeight < innerHeight;
  card.style.left = `${Math.max(8, left)}px`;
  card.style.top = `${below ? box.bottom + 8 : Math.max(8, box.top - card.offsetHeight - 8)}px`;
}

function hide() {
  card.hidden = true;
  delete card.dataset.id;
}

// Changes of state are read out, a few at a time and not more often than every five seconds.

const news = new Map();
let saying = 0;

function announce() {
  if (news.size && !saying) saying = setTimeout(speak, 1000);
}

function speak() {
  saying = 0;
  if (!news.size) return;
  const by = new Map();
  for (const [id, state] of news) by.set(state, [...(by.get(state) ?? []), id]);
  news.clear();
  const parts = [...by].sort(([a], [b]) => urgency[a] - urgency[b]).map(([state, ids]) => {
    if (ids.length === 1) return `Shard ${ids[0]} is ${states[state]}.`;
    return ids.length <= 4 ? `Shards ${ids.join(", ")} are ${states[state]}.` : `${ids.length} shards are ${states[state]}.`;
  });
  find("said").textContent = parts.join(" ");
  saying = setTimeout(speak, 5000);
}

// What is wanted stands in the address, so that it can be kept and shared.

function recall() {
  const p = new URLSearchParams(location.search);
  for (const state of (p.get("state") ?? "").split(",")) if (Object.values(states).includes(state)) wanted.states.add(state);
  wanted.text = p.get("q") ?? "";
  if (p.get("view") === "table") wanted.view = "table";
  if (measures[p.get("show")]) wanted.measure = p.get("show");
  const sort = p.get("sort") ?? "";
  if (columns.some((c) => c.key === sort.replace("-", ""))) [wanted.sort, wanted.down] = [sort.replace("-", ""), sort.startsWith("-")];
}

function remember() {
  const p = new URLSearchParams(location.search);
  const put = (key, value) => (value ? p.set(key, value) : p.delete(key));
  put("state", [...wanted.states].join(","));
  put("q", wanted.text);
  put("view", wanted.view === "table" && "table");
  put("show", wanted.measure !== "state" && wanted.measure);
  put("sort", (wanted.sort !== "id" || wanted.down) && `${wanted.down ? "-" : ""}${wanted.sort}`);
  const text = p.toString();
  history.replaceState(null, "", text ? `?${text}` : location.pathname);
}

function scale() {
  const measure = measures[wanted.measure];
  find("scale").replaceChildren(...(measure?.names ?? []).map((name, level) => {
    const item = document.createElement("li");
    const square = document.createElement("span");
    square.className = "sq ready";
    square.dataset.level = level;
    if (measure.high) square.dataset.high = "";
    item.append(square, name);
    return item;
  }));
}

export function begin() {
  if (!toolbar) return;
  recall();
  frame(() => {
    remember();
    apply();
  });
  toolbar.hidden = false;
  find("filter").value = wanted.text;
  for (const name of ["view", "measure"]) toolbar.elements[name].value = wanted[name];
  scale();
  toolbar.addEventListener("submit", (event) => event.preventDefault());
  toolbar.addEventListener("input", (event) => {
    if (event.target.id === "filter") wanted.text = event.target.value.trim();
    else wanted[event.target.name] = event.target.value;
    again();
    scale();
    remember();
    apply();
  });
  document.addEventListener("click", (event) => {
    const state = event.target.closest("#states .chip")?.parentElement.dataset.state;
    if (!state) return;
    if (!wanted.states.delete(state)) wanted.states.add(state);
    again();
    remember();
    apply();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, textarea") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      find("filter").focus();
    } else if (event.key === "Escape") hide();
  });
  pools.addEventListener("keydown", keys);
  for (const type of ["pointerover", "focusin"]) {
    pools.addEventListener(type, (event) => {
      const square = event.target.closest(".sq[data-id]");
      if (square) explain(square);
    });
  }
  for (const type of ["pointerleave", "focusout"]) pools.addEventListener(type, hide);
  addEventListener("scroll", () => { // the card goes with the focus, and not with the pointer
    const square = document.activeElement?.closest("#pools .sq[data-id]");
    if (square) explain(square);
    else hide();
  }, { passive: true });
  rove();
}
