"""An HTTPS server whose certificate is not valid now, and whose clock is its own."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Untimely:
    """Where it is reached, and the bundle that trusts it."""

    url: str
    bundle: bytes


@contextmanager
def untimely(directory: Path, *, begins: timedelta, ahead: timedelta) -> Iterator[Untimely]:
    """Serve until the block ends.

    Args:
        begins: from when on the certificate is valid, for a day, as seen from now.
        ahead: by how much the server's clock is ahead of ours.
    """
    pem = directory / "server.pem"
    bundle = _certificate(pem, datetime.now(UTC) + begins)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"pong")

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(datetime.now(UTC) + ahead, usegmt=True)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield Untimely(f"https://127.0.0.1:{server.server_port}", bundle)
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _certificate(pem: Path, begins: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=untimely")
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begins, begins + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    encoded = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(encoded + private)
    return encoded
