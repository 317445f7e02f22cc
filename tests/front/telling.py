"""The portal, and how many web processes it knows of."""

from portal.app import create_app

app = create_app()


@app.get("/web-processes")
def web_processes() -> str:
    return str(app.extensions["settings"].web_processes)
