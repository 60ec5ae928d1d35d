"""A file server with releases and channels, on the loopback of a test host: ``python server.py DIRECTORY``.

::

    /<version>/<file>              the releases
    /channels/stable, old          files whose text is a version
    /moved/stable                  leads to the page of a release, as RKE2's channels do
    /channels/broken               a page without a version
    /damaged/<version>/<file>      releases whose archives end early
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

PORT = 8480
_CHANNELS = {"stable": "v1.36.5+rke2py1\n", "old": "v1.36.4+rke2py1\r\n", "broken": "<html>welcome</html>\n"}


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    def do_GET(self) -> None:
        path = unquote(self.path)
        if path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", "/releases/tag/v1.36.5%2Brke2py1")
            self.end_headers()
        elif path.startswith("/channels/") and (text := _CHANNELS.get(path.removeprefix("/channels/"))):
            self._send(text.encode())
        elif (file := Path(sys.argv[1]) / path.removeprefix("/damaged").lstrip("/")).is_file():
            content = file.read_bytes()
            self._send(content[:-5] if path.startswith("/damaged") and ".tar." in path else content)
        else:
            self.send_error(404)

    do_HEAD = do_GET

    def _send(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test tells what went wrong."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
