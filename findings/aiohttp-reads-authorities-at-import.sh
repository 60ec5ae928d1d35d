#!/usr/bin/env bash
# aiohttp trusts the authorities that the machine had when it was imported; urllib those of the moment of a request.
#
# Library:  aiohttp 3.14.5 (connector.py); Python's urllib.request and ssl beside it; trustme 1.2.1 makes the certificate
# Expected: SSL_CERT_FILE, set by a program before its first request, decides for both whom they trust.
# Seen:     aiohttp makes its TLS contexts while it is imported. A variable that is set later, or an authority that is
#           installed while the program runs, counts for urllib and not for aiohttp, whose requests fail to verify. The
#           import reads all authorities of the machine, whether or not a request ever uses them.
# Where:    controllers and operators in Python that read their settings after their imports; pods whose bundle of
#           authorities is exchanged while they run; start-up time of programs that bring contexts of their own.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"

python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check --only-binary :all: aiohttp==3.14.5 trustme==1.2.1
cat > ask.py <<'PYTHON'
import asyncio
import os
import ssl
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import trustme

authority = trustme.CA()
authority.cert_pem.write_to_path("authority.pem")
if sys.argv[1] == "before":
    os.environ["SSL_CERT_FILE"] = "authority.pem"
import aiohttp

os.environ["SSL_CERT_FILE"] = "authority.pem"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Answer)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
authority.issue_cert("localhost").configure_cert(context)
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"https://localhost:{server.server_port}/"


async def by_aiohttp():
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return str(response.status)
    except aiohttp.ClientConnectorCertificateError:
        return "certificate verify failed"


with urllib.request.urlopen(url) as response:
    print(f"SSL_CERT_FILE set {sys.argv[1]} the import: urllib {response.status}, aiohttp {asyncio.run(by_aiohttp())}")
PYTHON
for when in before after; do venv/bin/python ask.py "$when"; done | tee seen
diff seen - <<'SEEN'
SSL_CERT_FILE set before the import: urllib 200, aiohttp 200
SSL_CERT_FILE set after the import: urllib 200, aiohttp certificate verify failed
SEEN
echo "finding holds: aiohttp goes by the authorities of the moment in which it was imported"
