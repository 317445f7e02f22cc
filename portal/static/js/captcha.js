// Gives the ALTCHA widget its worker from our own origin (its bundled one would need `worker-src blob:`).
const host = document.querySelector("[data-captcha]");

globalThis.$altcha.algorithms.set("PBKDF2/SHA-256", () => new Worker(host.dataset.worker, { type: "module" }));

// Browsers hide Web Crypto on plain http; say so instead of letting the widget fail in English.
if (!globalThis.isSecureContext) {
  host.querySelector("altcha-widget").hidden = true;
  host.querySelector(".captcha-insecure").hidden = false;
}
