// Follows the journal and exchanges what changed on the page, without reloading it.
"use strict";

(function () {
  const listing = document.getElementById("listing");
  const news = document.getElementById("news");
  const live = document.getElementById("live");
  const liveText = document.getElementById("live-text");
  const GATHER_MS = 80; // several journal entries of one transaction make one exchange

  let timer = 0;
  let running = false;
  let again = false;

  function state(name, text) {
    live.dataset.state = name;
    liveText.textContent = text;
  }

  function rows(root) {
    const found = new Map();
    for (const row of root.querySelectorAll(".row")) {
      found.set(row.closest(".card").dataset.key + "\n" + row.dataset.key, row);
    }
    return found;
  }

  function exchange(html) {
    const fresh = document.createElement("div");
    fresh.innerHTML = html; // our own server's escaped template; scripts set this way never run
    const before = rows(listing);
    const said = [];
    for (const [key, row] of rows(fresh)) {
      const old = before.get(key);
      if (old && old.dataset.state === row.dataset.state) continue;
      row.classList.add("changed");
      said.push(row.querySelector(".name").textContent + ": " + row.querySelector(".status").textContent);
    }
    listing.replaceChildren(...fresh.childNodes);
    if (said.length) news.textContent = said.slice(0, 5).join(". ");
  }

  async function refresh() {
    timer = 0;
    if (running) { again = true; return; }
    running = true;
    try {
      const answer = await fetch("/listing", { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.ok) exchange(await answer.text());
    } catch (error) {
      state("lost", "Reconnecting…"); // the stream reports its own end too, and comes back by itself
    } finally {
      running = false;
      if (again) { again = false; soon(); }
    }
  }

  function soon() {
    if (!timer) timer = window.setTimeout(refresh, GATHER_MS);
  }

  // What is wrong with the gateway is in no journal, so it is asked for.
  const TROUBLES_MS = 10000;
  const troubles = document.getElementById("troubles");

  async function ask() {
    try {
      const answer = await fetch("/troubles", { headers: { Accept: "text/html" }, cache: "no-store" });
      const html = answer.ok ? (await answer.text()).trim() : null;
      if (html !== null && html !== troubles.innerHTML.trim()) troubles.innerHTML = html; // escaped template
    } catch (error) {
      return; // the live mark says that the gateway cannot be reached
    }
  }

  window.setInterval(ask, TROUBLES_MS);

  const RETRY_MS = 5000;
  let newest = document.body.dataset.newest;
  let opened = false;

  function heard(event) {
    newest = event.lastEventId || newest;
    soon();
  }

  function connect() {
    const stream = new EventSource("/news?after=" + encodeURIComponent(newest));
    stream.addEventListener("open", function () {
      state("on", "Live");
      if (opened) soon();
      opened = true;
    });
    stream.addEventListener("error", function () {
      state("lost", "Reconnecting…");
      // A broken connection the browser mends itself; after a refusal it gives up, and we do not.
      if (stream.readyState === EventSource.CLOSED) window.setTimeout(connect, RETRY_MS);
    });
    stream.addEventListener("journal", heard);
    stream.addEventListener("reset", heard);
  }

  connect();
})();
