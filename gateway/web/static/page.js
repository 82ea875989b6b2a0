// Follows the journal: whatever shows something that changed asks for it again (htmx), and marks it.
"use strict";

(function () {
  const body = document.body;
  const live = document.getElementById("live");
  const text = document.getElementById("live-text");
  const news = document.getElementById("news");
  const MARKED_MS = 4000;
  const FIRST_MS = 10; // the entries of one transaction make one exchange
  const APART_MS = 120; // and many transactions not more than so many
  const RETRY_MS = 3000;
  let newest = body.dataset.newest;
  let timer = 0;
  let told = 0;
  let before = new Map();

  function state(name) {
    live.dataset.state = name;
    text.textContent = name === "lost" ? body.dataset.lost : body.dataset.live;
  }

  function states() {
    const found = new Map();
    for (const row of document.querySelectorAll("[data-state][id]")) {
      if (row !== live) found.set(row.id, row.dataset.state);
    }
    return found;
  }

  function tell() {
    timer = 0;
    told = window.performance.now();
    before = states();
    body.dispatchEvent(new CustomEvent("news"));
  }

  function mark() {
    const said = [];
    for (const [id, now] of states()) {
      if (before.get(id) === now) continue;
      const row = document.getElementById(id);
      row.classList.add("changed");
      window.setTimeout(function () { row.classList.remove("changed"); }, MARKED_MS);
      const name = row.querySelector("b, .title");
      said.push(name && name.textContent !== now ? name.textContent + ": " + now : now);
    }
    before = states();
    if (said.length) news.textContent = said.slice(0, 5).join(". ");
  }

  // How much waits stands in the menu and in the title.
  function title() {
    const count = document.getElementById("waiting-count").textContent;
    document.title = (count ? "(" + count + ") " : "") + document.title.replace(/^\(\d+\) /, "");
  }

  body.addEventListener("htmx:after:swap", mark);
  body.addEventListener("htmx:after:swap", title);

  // The seconds until letters go; then the bar asks what became of it.
  function count() {
    const left = document.querySelector("[data-left]");
    if (!left) return;
    const seconds = Number(left.dataset.left) - 1;
    left.dataset.left = String(Math.max(0, seconds));
    left.textContent = left.dataset.left;
    if (seconds <= 0) document.getElementById("undo").dispatchEvent(new CustomEvent("over"));
  }

  window.setInterval(count, 1000);

  function connect() {
    const stream = new EventSource("/news?after=" + encodeURIComponent(newest));
    stream.addEventListener("open", function () { state("on"); });
    for (const name of ["journal", "reset"]) {
      stream.addEventListener(name, function (event) {
        newest = event.lastEventId || newest;
        const wait = Math.max(FIRST_MS, told + APART_MS - window.performance.now());
        if (!timer) timer = window.setTimeout(tell, wait);
      });
    }
    stream.addEventListener("error", function () {
      state("lost");
      if (stream.readyState === EventSource.CLOSED) window.setTimeout(connect, RETRY_MS);
    });
    window.addEventListener("pagehide", function () { stream.close(); });
  }

  connect();
})();
