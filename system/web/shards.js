// What is known of the shards: the columns that the node sends, and what can be said of them in words. grid.js and table.js show it.

export const states = { c: "connecting", i: "identifying", r: "resuming", ".": "ready", d: "disconnected", h: "halted" };
export const urgency = { h: 0, d: 1, r: 2, c: 3, i: 4, ".": 5 };

// The columns as they came last, each by position; at holds the position of an id.
export const all = { id: [], pool: [], node: [], nodes: [], state: "", since: [], latency: [], rate: [], last: [], guilds: [], restarts: [], errors: {} };
export let at = new Map();
let skew = 0; // the node's clock minus ours, in ms

export const query = document.body.dataset.scope === "cluster" ? "?scope=cluster" : "";

// What is to be seen of them.
export const wanted = { states: new Set(), text: "", view: "grid", measure: "state", sort: "id", down: false };

// Words and numbers, written as the server writes them.
export const plain = new Intl.NumberFormat("en-US");

export function rate(v) {
  if (v > 0 && v < 9.95) return v.toFixed(1);
  return plain.format(Math.round(v));
}

export function millis(ms) {
  const digits = (v) => (v < 9.95 ? v.toFixed(1) : plain.format(Math.round(v)));
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  return ms < 1000 ? `${digits(ms)} ms` : `${digits(ms / 1000)} s`;
}

export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

const now = () => (Date.now() + skew) / 1000;
export const ago = (unix) => (unix ? Math.max(0, now() - unix) : null);

// What a square can show beside its state: a value, its text, and the levels to which it fills.
export const measures = {
  rate: {
    value: (i) => (all.rate[i] < 0 ? null : all.rate[i] / 10), text: (v) => `${rate(v)}/s`, brief: rate,
    names: ["none", "below 1/s", "below 5/s", "below 20/s", "below 100/s", "more"],
    level: (v) => (v === 0 ? 0 : v < 1 ? 1 : v < 5 ? 2 : v < 20 ? 3 : v < 100 ? 4 : 5),
  },
  heartbeat: {
    value: (i) => (all.latency[i] > 0 ? all.latency[i] / 10 : null), text: millis, brief: (v) => (v < 1000 ? Math.round(v) || "<1" : `${(v / 1000).toFixed(1)}s`),
    names: ["below 50 ms", "below 100 ms", "below 200 ms", "below 500 ms", "below 1 s", "more"],
    level: (v) => [50, 100, 200, 500, 1000].filter((limit) => v >= limit).length, high: true,
  },
  last: {
    value: (i) => ago(all.last[i]), text: (v) => `${span(v)} ago`, brief: brief,
    names: ["below 10 s", "below 1 min", "below 5 min", "below 15 min", "below 1 h", "more"],
    level: (v) => [10, 60, 300, 900, 3600].filter((limit) => v >= limit).length, high: true,
  },
  age: {
    value: (i) => ago(all.since[i]), text: (v) => `for ${span(v)}`, brief: brief,
    names: ["below 1 min", "below 10 min", "below 1 h", "below 6 h", "below 1 day", "more"],
    level: (v) => [60, 600, 3600, 21600, 86400].filter((limit) => v >= limit).length,
  },
};

function brief(v) {
  return span(v).split(" ").slice(0, 2).join("").replace("min", "m");
}

// A shard in a sentence: the name of its square where that has the focus, and what the card shows.
export function facts(i) {
  const list = [["State", `${states[all.state[i]]}${all.since[i] ? ` for ${span(ago(all.since[i]))}` : ""}`]];
  for (const [key, label] of [["rate", "Events"], ["heartbeat", "Heartbeat"], ["last", "Last event"]]) {
    const v = measures[key].value(i);
    if (v !== null) list.push([label, measures[key].text(v)]);
  }
  list.push(["Guilds", plain.format(all.guilds[i])]);
  if (all.restarts[i]) list.push(["Restarts", plain.format(all.restarts[i])]);
  if (all.nodes.length > 1) list.push(["Node", all.nodes[all.node[i]]]);
  if (all.errors[all.id[i]]) list.push(["Last error", all.errors[all.id[i]]]);
  return list;
}

// keep takes new columns over; those that are missing have not changed. It returns which shards have changed their state: id → state.
export function keep(columns) {
  const before = all.state;
  const same = !columns.id;
  const news = new Map();
  skew = columns.now - Date.now();
  if (columns.errors || columns.id) all.errors = columns.errors ?? {};
  for (const [key, value] of Object.entries(columns)) if (key in all) all[key] = value;
  if (!same) at = new Map(all.id.map((id, i) => [id, i]));
  else for (let i = 0; i < all.state.length; i++) if (before[i] !== all.state[i]) news.set(all.id[i], all.state[i]);
  return news;
}

// filter tells of each shard whether it is wanted. Words are joined by and; a number or a range is a shard, "pool 3" a pool,
// anything else a part of a state, a node's name or an error.
export function filter() {
  const words = wanted.text.toLowerCase().replace(/\bpools?\s+(\d)/g, "pool:$1").split(/[\s,]+/).filter(Boolean);
  const ranges = [];
  const others = [];
  for (const word of words) {
    const numbers = word.match(/^(\d+)(?:[-–](\d*))?$/);
    if (numbers) ranges.push([+numbers[1], numbers[2] === undefined ? +numbers[1] : numbers[2] === "" ? Infinity : +numbers[2]]);
    else others.push(word);
  }
  return all.id.map((id, i) => {
    const state = states[all.state[i]];
    if (wanted.states.size && !wanted.states.has(state)) return false;
    if (ranges.length && !ranges.some(([from, to]) => id >= from && id <= to)) return false;
    return others.every((word) => {
      if (word.startsWith("pool:")) return all.pool[i] === +word.slice(5);
      return state.includes(word) || (all.nodes[all.node[i]] ?? "").toLowerCase().includes(word) || (all.errors[id] ?? "").toLowerCase().includes(word);
    });
  });
}
