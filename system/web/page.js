// Keeps the status page live: /live sends the sections that changed as HTML, and morph changes what is
// on the screen into that, touching only what differs, so that a tooltip, a selection or the focus stays.
"use strict";

function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
    from.replaceWith(to);
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  for (const { name } of [...from.attributes]) {
    if (!to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  const have = [...from.childNodes];
  const want = [...to.childNodes];
  want.forEach((child, i) => (i < have.length ? morph(have[i], child) : from.append(child)));
  have.slice(want.length).forEach((child) => child.remove());
}

// Times come in UTC; people read their own clock.
function localTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString(undefined, { hourCycle: "h23" });
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
  source = new EventSource("/live" + location.search);
  source.onmessage = (event) => {
    show(JSON.parse(event.data));
    say("live", "Live");
  };
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

localTimes(document);
connect();
