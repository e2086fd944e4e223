// The shards as a table: the first rows of what is wanted, in the wanted order. Of a thousand only the rows that are shown are touched.
import { all, ago, measures, plain, query, rate, millis, span, states, urgency, wanted } from "./shards.js";

const table = document.getElementById("table");

function set(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

export const columns = [
  { key: "id", name: "Shard", number: true, value: (i) => all.id[i] },
  { key: "node", name: "Node", value: (i) => all.nodes[all.node[i]] ?? "", cluster: true },
  { key: "pool", name: "Pool", number: true, value: (i) => all.pool[i] },
  { key: "state", name: "State", value: (i) => urgency[all.state[i]], text: (i) => states[all.state[i]] },
  { key: "age", name: "Age", number: true, value: (i) => ago(all.since[i]), text: (_, v) => span(v), down: true },
  { key: "rate", name: "Events/s", number: true, value: measures.rate.value, text: (_, v) => rate(v), down: true },
  { key: "heartbeat", name: "Heartbeat", number: true, value: measures.heartbeat.value, text: (_, v) => millis(v), down: true },
  { key: "last", name: "Last event", number: true, value: measures.last.value, text: (_, v) => span(v), down: true, node: true },
  { key: "guilds", name: "Guilds", number: true, value: (i) => all.guilds[i], text: (_, v) => plain.format(v), down: true },
  { key: "restarts", name: "Restarts", number: true, value: (i) => all.restarts[i], down: true },
  { key: "error", name: "Last error", value: (i) => all.errors[all.id[i]] || null, grow: true },
].filter((c) => (query ? !c.node : !c.cluster));

const page = 100; // rows more at a time
let rows = page;
let order = [];
let ordered = 0;

// frame makes an empty table. chosen is called when somebody wants another order, or more rows.
export function frame(chosen) {
  const head = columns.map((c) => `<th scope="col" class="${c.number ? "n" : ""}${c.grow ? "grow" : ""}" data-key="${c.key}"><button type="button">${c.name}</button></th>`);
  table.innerHTML = `<div class="scroll"><table class="all"><caption class="unseen">Shards</caption><thead><tr>${head.join("")}</tr></thead><tbody></tbody></table></div><button type="button" class="more" hidden></button>`;
  table.querySelector("thead").addEventListener("click", (event) => {
    const key = event.target.closest("[data-key]")?.dataset.key;
    if (!key) return;
    const column = columns.find((c) => c.key === key);
    wanted.down = wanted.sort === key ? !wanted.down : Boolean(column.down);
    wanted.sort = key;
    ordered = 0;
    chosen();
  });
  table.querySelector(".more").addEventListener("click", () => {
    rows += page;
    ordered = 0;
    chosen();
  });
}

// again forgets order and length, since something else is wanted.
export function again() {
  rows = page;
  ordered = 0;
}

export function list(fits) {
  const column = columns.find((c) => c.key === wanted.sort) ?? columns[0];
  // A table that moves under the pointer, or under the focus, cannot be read.
  const held = table.matches(":hover") || table.querySelector("tbody").contains(document.activeElement);
  const wants = all.id.map((_, i) => i).filter((i) => fits[i]);
  if (!held || ordered === 0 || order.length !== wants.length) {
    const values = new Map(wants.map((i) => [i, column.value(i)]));
    const sign = wanted.down ? -1 : 1;
    order = wants.sort((a, b) => {
      const [x, y] = [values.get(a), values.get(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a - b;
      return (x < y ? -1 : x > y ? 1 : 0) * sign || a - b;
    });
    ordered = 1;
  }
  for (const th of table.querySelectorAll("[data-key]")) {
    set(th, "aria-sort", th.dataset.key === column.key ? (wanted.down ? "descending" : "ascending") : null);
  }
  const body = table.querySelector("tbody");
  const some = order.slice(0, rows);
  while (body.rows.length > some.length) body.lastElementChild.remove();
  while (body.rows.length < some.length) body.append(row());
  some.forEach((i, n) => fill(body.rows[n], i));
  const more = table.querySelector(".more");
  more.hidden = order.length <= rows;
  const text = `Show ${Math.min(page, order.length - rows)} more of ${plain.format(order.length - rows)}`;
  if (!more.hidden && more.textContent !== text) more.textContent = text;
}

function row() {
  const tr = document.createElement("tr");
  for (const c of columns) {
    const cell = document.createElement(c.key === "id" ? "th" : "td");
    cell.className = `${c.number ? "n" : ""}${c.grow ? "grow" : ""}`;
    if (c.key === "id") {
      cell.scope = "row";
      cell.append(document.createElement("a"));
    } else if (c.key === "state") cell.append(document.createElement("span"), "");
    else cell.append("");
    tr.append(cell);
  }
  return tr;
}

function fill(tr, i) {
  columns.forEach((c, n) => {
    const cell = tr.cells[n];
    const v = c.value(i);
    const text = v === null ? "–" : String(c.text ? c.text(i, v) : v);
    if (c.key === "id") {
      const a = cell.firstChild;
      if (a.textContent === text) return;
      a.textContent = text;
      a.href = `/shards/${text}${query}`;
      return;
    }
    if (c.key === "state") set(cell.firstChild, "class", `dot ${text}`);
    if (cell.lastChild.data !== text) cell.lastChild.data = text;
  });
}
