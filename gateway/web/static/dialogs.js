// Opens a dialog over the page that leads to it, instead of going there. Its forms are sent as the
// page of their own would send them; without this file that page is shown.
"use strict";

(function () {
  const over = document.createElement("dialog");
  over.className = "over";
  document.body.append(over);
  let here = "";

  function shown(text, url) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const part = page.getElementById("dialog");
    if (!part) { window.location.assign(url); return; }
    const focus = document.activeElement && over.contains(document.activeElement) ? document.activeElement.id : "";
    over.replaceChildren(document.importNode(part, true));
    over.setAttribute("aria-label", over.querySelector("h1").textContent);
    if (!over.open) over.showModal();
    window.htmx.process(over);
    const again = focus && document.getElementById(focus);
    if (again) again.focus();
  }

  async function open(url) {
    const answer = await window.fetch(url, { headers: { Accept: "text/html" } });
    here = url;
    shown(await answer.text(), url);
  }

  async function send(form, button) {
    const said = new URLSearchParams(new FormData(form));
    if (button && button.name) said.append(button.name, button.value);
    const answer = await window.fetch(here, {
      method: "POST", body: said, headers: { Accept: "text/html" },
    });
    if (answer.redirected) window.location.assign(answer.url);
    else shown(await answer.text(), here);
  }

  document.addEventListener("click", function (event) {
    const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    const link = plain && event.target.closest("a[data-dialog]");
    const close = plain && over.open && event.target.closest("a[data-close]");
    if (!link && !close) return;
    event.preventDefault();
    if (close) over.close();
    else open(link.href);
  });

  over.addEventListener("submit", function (event) {
    event.preventDefault();
    send(event.target, event.submitter);
  });
  over.addEventListener("close", function () { over.replaceChildren(); });

  // Somebody was chosen while typing: as if their button had been pressed.
  document.addEventListener("auto-complete-change", function (event) {
    const field = event.target.closest("auto-complete[data-adds]");
    if (!field) return;
    const list = document.getElementById(field.getAttribute("for"));
    const option = list.querySelector("[aria-selected=true]") || list.querySelector("[role=option]");
    if (!option || !option.dataset.who) return;
    const input = field.querySelector("input");
    const form = input.form;
    const add = document.createElement("input");
    add.type = "hidden";
    add.name = "add";
    add.value = option.dataset.who;
    input.value = "";
    form.append(add);
    form.requestSubmit(form.querySelector("[name=look]"));
  });
})();
