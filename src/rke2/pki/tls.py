"""TLS between components of one cluster."""

from __future__ import annotations

import ssl
from pathlib import Path

from rke2.pki.pem import certificate_path, key_path


def identity(authority: Path, stem: Path) -> ssl.SSLContext:
    """TLS that trusts `authority` and presents the certificate ``<stem>.crt`` with its key.

    Raises:
        OSError: one of the files is missing or unusable.
    """
    context = ssl.create_default_context(cafile=str(authority))
    context.load_cert_chain(certificate_path(stem), key_path(stem))
    return context
