"""Modules that are many, imported at once: the start of a node, and of a verb that asks one, waits for them."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SYSTEM_AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Where OpenSSL looks for the machine's certificate authorities, if they are set."""


@contextmanager
def quick_import() -> Iterator[None]:
    """While they are imported: leave out what takes a tenth of a second and is of no use.

    * The garbage collector looks for nothing, and never again at what was imported: all of it stays.
    * ``aiohttp.connector`` makes a TLS context with all authorities of the machine when it is imported, for clients
      that name none. Those of rke2 name their own (`rke2.pki.tls`, `rke2.kube.kubeconfig`, `rke2.s3.trust`,
      `rke2.registry.source`); one that forgets it trusts nobody.
    """
    # Before there is a second thread: the environment is the process'.
    kept = {name: os.environ.get(name) for name in _SYSTEM_AUTHORITIES}
    os.environ.update(dict.fromkeys(_SYSTEM_AUTHORITIES, os.devnull))
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
