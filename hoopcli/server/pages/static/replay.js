// Plays a session: its steps appear at the pace at which they happened. The page is whole without it.
"use strict";
(() => {
  const player = document.getElementById("player");
  const steps = [...document.querySelectorAll(".step")];
  if (!player || steps.length < 2) return;
  const play = player.querySelector("[data-do=play]");
  const speed = player.querySelector("select");
  const output = player.querySelector("output");
  const LONGEST = 5;  // seconds: nobody waits through a lunch
  let at = steps.length;
  let timer = 0;
  player.hidden = false;

  const show = (position) => {
    at = Math.min(steps.length, Math.max(1, position));
    steps.forEach((step, n) => {
      step.hidden = n >= at;
      step.classList.toggle("current", n === at - 1 && at < steps.length);
    });
    output.textContent = `${at} of ${steps.length}`;
    if (at < steps.length) steps[at - 1].scrollIntoView({ block: "nearest" });
  };
  const stop = () => {
    clearTimeout(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const next = () => {
    if (at >= steps.length) return stop();
    const pause = Number(steps[at].dataset.offset) - Number(steps[at - 1].dataset.offset);
    timer = setTimeout(() => { show(at + 1); next(); }, Math.min(pause, LONGEST) * 1000 / Number(speed.value));
  };
  const actions = {
    play: () => {
      if (timer) return stop();
      if (at >= steps.length) show(1);
      play.textContent = "Pause";
      next();
    },
    back: () => { stop(); show(at - 1); },
    next: () => { stop(); show(at + 1); },
  };
  player.addEventListener("click", (event) => actions[event.target.dataset.do]?.());
  speed.addEventListener("change", () => { if (timer) { clearTimeout(timer); next(); } });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea, select, button, summary, a") || event.ctrlKey || event.metaKey || event.altKey) return;
    const wanted = { " ": "play", ".": "next", ",": "back" }[event.key];
    if (!wanted) return;
    event.preventDefault();
    actions[wanted]();
  });
  show(steps.length);
})();

for (const terminal of document.querySelectorAll(".terminal[data-cast]")) {
  addEventListener("load", () => {
    if (globalThis.AsciinemaPlayer) {
      AsciinemaPlayer.create(terminal.dataset.cast, terminal, { controls: true, fit: "width", idleTimeLimit: 2, preload: false });
    }
  });
}
