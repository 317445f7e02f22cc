// Small things on top of pages that work without them: toasts, resend countdowns, local times, menus that close.
(() => {
  const toasts = document.getElementById("toasts");
  let leaving = false;

  /** Shows a message once, for `seconds` (0: until dismissed or `clear(key)`). */
  function toast(message, { key = message, level = "info", seconds = 8 } = {}) {
    if (!toasts || leaving || !message) return;
    clear(key);
    const box = document.createElement("div");
    box.className = `toast toast-${level}`;
    box.dataset.key = key;
    const text = document.createElement("p");
    text.textContent = message;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "quiet toast-close";
    close.setAttribute("aria-label", toasts.dataset.dismiss);
    close.textContent = "×";
    close.addEventListener("click", () => box.remove());
    box.append(text, close);
    toasts.append(box);
    if (seconds) setTimeout(() => box.remove(), seconds * 1000);
  }

  function clear(key) {
    for (const box of toasts?.querySelectorAll(".toast") ?? []) if (box.dataset.key === key) box.remove();
  }

  // A request that dies because the page is being left is no fault.
  addEventListener("pagehide", () => { leaving = true; });
  addEventListener("pageshow", () => { leaving = false; });

  const asks = (element, when) => element?.getAttribute?.("hx-trigger")?.includes(when);

  document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
    // A poll outlives a limit and a fault of the server: what is shown stays, the next tick asks again.
    if (ctx.response.status === 429 && asks(ctx.sourceElement, "every")) ctx.hx.reswap = "none";
    // What a page fetches by itself, beside its polls, is never replaced by an error.
    if (asks(ctx.sourceElement, "load")) ctx.hx.reswap = "none";
    if (ctx.response.status >= 500) toast(toasts?.dataset.serverError, { key: "server", level: "error", seconds: 0 });
  });

  document.addEventListener("htmx:error", ({ detail }) => {
    if (detail.ctx && !detail.ctx.response) toast(toasts?.dataset.offline, { key: "offline", level: "error", seconds: 0 });
  });

  document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
    clear("offline");
    if (ctx.response.status < 500) clear("server");
  });

  // The server may send HX-Trigger: {"toast": {"message": "…", "level": "success"}}
  document.addEventListener("toast", ({ detail }) => toast(detail.message, detail));

  /** <button data-countdown="60" data-countdown-text="Again in {s} s"> is enabled when its seconds are over. */
  function countDown(button) {
    const label = button.textContent;
    const end = Date.now() + Number(button.dataset.countdown) * 1000;
    delete button.dataset.countdown;
    button.disabled = true;
    const tick = () => {
      const left = Math.ceil((end - Date.now()) / 1000);
      if (left > 0 && button.isConnected) {
        button.textContent = button.dataset.countdownText.replace("{s}", left);
        setTimeout(tick, 250);
      } else {
        button.textContent = label;
        button.disabled = false;
      }
    };
    tick();
  }

  const styles = { short: { dateStyle: "medium", timeStyle: "short" }, medium: { dateStyle: "medium", timeStyle: "medium" } };

  /** The server writes times in the portal's zone; the reader's clock says where the reader is. */
  function localise(time) {
    const format = new Intl.DateTimeFormat(document.documentElement.lang, styles[time.dataset.format]);
    const text = format.format(new Date(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }

  function enhance() {
    document.querySelectorAll("button[data-countdown]").forEach(countDown);
    document.querySelectorAll("time[data-format]").forEach(localise);
    for (const input of document.querySelectorAll("input[data-zone]")) input.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
  document.addEventListener("htmx:after:swap", enhance);
  enhance();

  // <form data-confirm="…"> asks first.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  // An open menu closes on Escape and on a click elsewhere.
  const closeMenus = (except) => document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (menu !== except) menu.open = false;
  });
  document.addEventListener("click", ({ target }) => closeMenus(target.closest("details.menu")));
  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    const menu = document.querySelector("details.menu[open]");
    closeMenus();
    menu?.querySelector("summary").focus();
  });
})();
