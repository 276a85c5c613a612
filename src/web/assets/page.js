// Refreshes the page in place. Open details, the selection and the focus stay. The page works without this script.
"use strict";
(() => {
  const every = 1000 * Number(document.currentScript.dataset.every);
  const pause = document.getElementById("pause");
  let paused = false;

  const byKey = (root) => new Map([...root.querySelectorAll("[data-key]")].map((one) => [one.dataset.key, one]));
  const isSelecting = () => {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed;
  };

  // The focused element, as an index among the focusable elements of its part.
  const focusable = (part) => [...part.querySelectorAll("a, summary, button, input, select")];
  const focusIn = (part) => focusable(part).indexOf(document.activeElement);

  const replace = (part, next) => {
    for (const [key, was] of byKey(part)) {
      const is = byKey(next).get(key);
      if (is !== undefined && was.open !== undefined) is.open = was.open;
    }
    if (part.className !== next.className) part.className = next.className;
    if (part.innerHTML === next.innerHTML) return;
    const focus = focusIn(part);
    part.replaceChildren(...next.childNodes);
    if (focus >= 0) focusable(part)[focus]?.focus({ preventScroll: true });
  };

  const show = (page) => {
    const parts = [...document.querySelectorAll("[data-part]")];
    const next = new Map([...page.querySelectorAll("[data-part]")].map((one) => [one.dataset.part, one]));
    const isSame = parts.length === next.size && parts.every((part) => next.has(part.dataset.part));
    if (!isSame) {
      document.querySelector("main").replaceChildren(...page.querySelector("main").childNodes);
      return;
    }
    for (const part of parts) replace(part, next.get(part.dataset.part));
  };

  const refresh = async () => {
    if (paused || document.hidden || isSelecting()) return;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(every * 3) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      show(page);
      document.title = page.title;
      document.querySelector("link[rel=icon]").href = page.querySelector("link[rel=icon]").href;
      document.body.classList.remove("stale");
    } catch {
      document.body.classList.add("stale");
    }
  };

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    refresh();
  });
  document.addEventListener("visibilitychange", refresh);
  setInterval(refresh, every);
})();
