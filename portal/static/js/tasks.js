// Tasks, on top of pages that work without it: word of what has ended, many rows at once, the focus in rows that change.
(() => {
  const title = document.title;
  let unseen = 0;

  // A task that was cancelled in this tab is no news here; a page that comes after the cancel has to know, too.
  const CANCELLED = "tasks.cancelled";
  const cancelled = () => {
    try { return JSON.parse(sessionStorage.getItem(CANCELLED)) ?? []; } catch { return []; }
  };
  function remember(uuids) {
    try { sessionStorage.setItem(CANCELLED, JSON.stringify([...cancelled(), ...uuids].slice(-200))); } catch { /* storage is off */ }
  }

  document.addEventListener("submit", ({ target: form, submitter }) => {
    const single = form.getAttribute("action")?.match(/\/tasks\/([0-9a-f-]{36})\/cancel/);
    if (single) remember([single[1]]);
    if (form.id === "bulk" && submitter?.value === "cancel") remember(picked().map((box) => box.value));
  });

  // The server sends HX-Trigger: {"tasks-ended": {"tasks": [{"task", "status", "level", "message"}, …]}}
  document.addEventListener("tasks-ended", ({ detail: { tasks } }) => {
    const own = new Set(cancelled());
    const news = tasks.filter(({ task, status }) => !(status === "cancelled" && own.has(task)));
    for (const { message, level } of news) {
      const detail = { message, level, seconds: document.hidden ? 0 : 8 };
      document.dispatchEvent(new CustomEvent("toast", { detail }));
    }
    if (!document.hidden || !news.length) return;
    unseen += news.length;
    document.title = `(${unseen}) ${title}`;
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    unseen = 0;
    document.title = title;
  });

  // Choosing: the buttons say what can be done with what is chosen.
  const bulk = document.getElementById("bulk");
  const all = document.getElementById("pick-all");
  const boxes = () => [...document.querySelectorAll("input[form=bulk][name=task]")];
  const picked = () => boxes().filter((box) => box.checked);

  function showChoice() {
    if (!bulk) return;
    const shown = boxes(), chosen = picked();
    for (const button of bulk.querySelectorAll("button")) {
      button.disabled = !chosen.some((box) => box.dataset.can === button.value);
    }
    all.checked = shown.length > 0 && chosen.length === shown.length;
    all.indeterminate = chosen.length > 0 && chosen.length < shown.length;
    all.disabled = !shown.length;
  }
  if (bulk) {
    all.closest("label").hidden = false;
    all.addEventListener("change", () => {
      for (const box of boxes()) box.checked = all.checked;
      showChoice();
    });
    document.addEventListener("change", ({ target }) => { if (target.name === "task") showChoice(); });
    addEventListener("pageshow", showChoice);
    showChoice();
  }

  // A button under the focus may go with what it was for: the focus then stays in its row.
  let left = null;
  const boxOf = (element) => element?.closest?.("article[id]")?.id ?? null;
  document.addEventListener("submit", ({ target }) => { left = boxOf(target); });
  document.addEventListener("htmx:before:swap", () => { left = boxOf(document.activeElement) ?? left; });
  document.addEventListener("htmx:after:swap", () => {
    const box = left && document.activeElement === document.body ? document.getElementById(left) : null;
    (box?.querySelector(".task-name a") ?? box)?.focus();
    left = null;
    showChoice();
  });
})();
