// Keys, countdowns, and quiet while the server is away or nobody looks. Pages work without it.
"use strict";
(() => {
  const live = (event) => event.target.classList.contains("live");
  const offline = () => document.querySelector(".offline");

  // A hidden page holds no request: a browser has few connections to one server.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && live(event)) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    for (const part of document.querySelectorAll(".live")) {
      htmx.trigger(part, document.hidden ? "htmx:abort" : "load");
    }
  });
  // What is put together stays open while the list below it changes.
  let open = false;
  document.addEventListener("htmx:beforeSwap", () => {
    open = !!document.querySelector("details.alike[open]");
  });
  document.addEventListener("htmx:afterSettle", () => {
    const details = document.querySelector("details.alike");
    if (details && open) details.open = true;
  });
  document.addEventListener("htmx:sendError", () => { offline().hidden = false; });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) offline().hidden = true;
  });

  const shown = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (n) => String(n).padStart(2, "0");
    const hours = Math.floor(whole / 3600);
    const minutes = Math.floor(whole / 60) % 60;
    return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
  };
  setInterval(() => {
    for (const time of document.querySelectorAll("time[data-left]")) {
      const left = shown((Date.parse(time.dateTime) - Date.now()) / 1000);
      if (time.textContent !== left) time.textContent = left;
    }
  }, 1000);

  // A ticket in the address signs in; it is taken out of the address and of the history at once.
  const ticket = document.getElementById("ticket");
  if (ticket && location.hash.length > 1) {
    ticket.elements.ticket.value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    ticket.submit();
  }

  // A remark about a draft leads to its line.
  document.addEventListener("click", (event) => {
    const mark = event.target.closest("[data-line]");
    const text = document.getElementById("policy-text");
    if (!mark || !text) return;
    const before = text.value.split("\n").slice(0, mark.dataset.line - 1);
    const at = before.join("\n").length + (before.length ? 1 : 0) + Number(mark.dataset.column) - 1;
    text.focus();
    text.setSelectionRange(at, at + 1);
    text.scrollTop = (before.length - 3) * parseFloat(getComputedStyle(text).lineHeight);
  });

  const choose = (step) => {
    const all = [...document.querySelectorAll("a.request, a.row")].filter((a) => a.checkVisibility());
    const at = all.indexOf(document.activeElement);
    const next = all[Math.min(all.length - 1, Math.max(0, at + step))];
    if (next) next.focus();
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select");
    if (event.key === "Escape" && typing) event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || event.key === "k") return choose(event.key === "j" ? 1 : -1);
    const keyed = [...document.querySelectorAll("[data-key]")].find((e) => e.dataset.key === event.key);
    if (!keyed) return;
    event.preventDefault();  // the key is not typed where it leads
    if (keyed.matches("a")) keyed.click();
    else keyed.focus();  // a button waits for Enter: nothing is approved by one stray key
  });
})();
