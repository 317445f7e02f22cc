const host = document.getElementById("redoc");
const font = getComputedStyle(document.body).fontFamily;

// ReDoc has no dark look, so its colours are fixed.
const theme = {
  colors: {
    primary: { main: "#0d6577" },
    success: { main: "#17663a" },
    error: { main: "#a3232b" },
    text: { primary: "#17252b", secondary: "#50626b" },
    http: { get: "#17663a", post: "#0d6577", put: "#775000", patch: "#775000", delete: "#a3232b" },
  },
  sidebar: { backgroundColor: "#f3f6f7", textColor: "#17252b", width: "17rem" },
  rightPanel: { backgroundColor: "#17252b" },
  typography: {
    fontSize: "15px",
    fontFamily: font,
    headings: { fontFamily: font, fontWeight: "650" },
    links: { color: "#0d6577" },
    code: { color: "#17252b", backgroundColor: "#edf1f3" },
  },
};

globalThis.Redoc.init(host.dataset.specUrl, { nonce: host.dataset.nonce, nativeScrollbars: true, theme }, host);
