// Runs before the page is drawn, so that a chosen theme does not flash in late. The button that chooses is in page.js.
"use strict";
document.documentElement.dataset.js = "";
try {
  const theme = localStorage.getItem("drover-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {} // a browser that keeps nothing: the system's theme it is
