// Keeps a page live: /live sends the sections that changed as HTML, and morph changes what is on the screen into that,
// touching only what differs, so that a selection or the focus stays. What else comes is for grid.js and charts.js.
import * as grid from "./grid.js";
import * as charts from "./charts.js";

// What the scripts themselves set on elements of the server's.
const own = new Set(["tabindex", "aria-pressed", "data-out", "data-level", "data-value", "open"]);

function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
    from.replaceWith(to);
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  const keep = to.dataset.keep;
  if (keep === "all") return;
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name) && !own.has(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !(own.has(name) && from.hasAttribute(name))) from.setAttribute(name, value);
  }
  if (keep === "children") return;
  const have = [...from.childNodes];
  const want = [...to.childNodes];
  want.forEach((child, i) => (i < have.length ? morph(have[i], child) : from.append(child)));
  have.slice(want.length).forEach((child) => child.remove());
}

// Times come in UTC; people read their own clock.
function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    const short = "short" in time.dataset ? { hour: "2-digit", minute: "2-digit" } : {};
    time.textContent = new Date(time.dateTime).toLocaleTimeString(undefined, { hourCycle: "h23", ...short });
    time.title = time.dateTime;
  }
}

function show(sections) {
  for (const [id, html] of Object.entries(sections)) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    localTimes(fresh.content);
    const old = document.getElementById(id);
    if (old && fresh.content.firstElementChild) morph(old, fresh.content.firstElementChild);
  }
  grid.settle();
  charts.settle();
}

const link = document.getElementById("link");
let source = null;
let later = 0;

function say(state, text) {
  document.documentElement.dataset.link = state;
  if (link.textContent !== text) link.textContent = text;
}

function connect() {
  clearTimeout(later);
  source?.close();
  source = new EventSource(document.body.dataset.live);
  source.onmessage = (event) => {
    show(JSON.parse(event.data));
    say("live", "Live");
  };
  source.addEventListener("shards", (event) => grid.take(JSON.parse(event.data)));
  source.addEventListener("charts", (event) => charts.take(JSON.parse(event.data)));
  source.onerror = () => {
    say("lost", "Connection lost, trying again");
    // The browser tries again by itself, unless the server answered with an error.
    if (source.readyState === EventSource.CLOSED) later = setTimeout(connect, 10000);
  };
}

// A page that nobody looks at costs the node nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(later);
    source?.close();
    source = null;
  } else if (!source || source.readyState === EventSource.CLOSED) {
    connect();
  }
});

// The theme: the system's, unless somebody chooses. theme.js has set what was chosen before.
const themes = ["system", "light", "dark"];
const button = document.getElementById("theme");

function theme() {
  return document.documentElement.dataset.theme ?? "system";
}

button.addEventListener("click", () => {
  const next = themes[(themes.indexOf(theme()) + 1) % themes.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem("drover-theme");
    else localStorage.setItem("drover-theme", next);
  } catch {} // it holds until the page is left
  button.lastElementChild.textContent = `Theme: ${next}`;
});
button.lastElementChild.textContent = `Theme: ${theme()}`;
button.hidden = false;

localTimes(document);
grid.begin();
charts.begin();
connect();
