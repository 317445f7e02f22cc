// Tencent's captcha: its script is loaded when it is asked for; what it answers goes into the form's hidden fields.
(() => {
  const host = document.querySelector("[data-tencent]");
  const button = host.querySelector("button");
  const part = (name) => host.querySelector(`.captcha-${name}`);
  let loading = null;

  function load() {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = host.dataset.tencent;
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(script);
    });
    return loading;
  }

  function answered({ ret, ticket, randstr }) {
    if (ret !== 0) return; // closed without an answer
    host.querySelector("[name=captcha_ticket]").value = ticket;
    host.querySelector("[name=captcha_randstr]").value = randstr;
    // Such a ticket is made in the browser when the service does not answer: it proves nothing.
    const away = !ticket || ticket.startsWith("trerror_") || ticket.startsWith("terror_");
    part("solved").hidden = away;
    button.hidden = !away;
    say(away);
  }

  function say(away) {
    part("unavailable").hidden = !away;
    if (part("refused")) part("refused").hidden = true;
  }

  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await load();
      new globalThis.TencentCaptcha(host.dataset.appId, answered, { userLanguage: host.dataset.language }).show();
    } catch {
      loading = null;
      say(true);
    }
    button.disabled = false;
  });
})();
