const host = document.getElementById("swagger");

if (globalThis.matchMedia("(prefers-color-scheme: dark)").matches) {
  document.documentElement.classList.add("dark-mode");
}

// The validator badge would ask a server of the vendor's.
globalThis.SwaggerUIBundle({
  url: host.dataset.specUrl,
  domNode: host,
  validatorUrl: null,
  deepLinking: true,
  persistAuthorization: false,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
});
