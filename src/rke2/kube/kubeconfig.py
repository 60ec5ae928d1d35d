"""Credentials of a kubeconfig file, followed as files are renewed.

Certificates may be named by path or be embedded; the TLS context is rebuilt when the kubeconfig or a file it
names changes, so a renewed client certificate is used by the running process. While a file is missing or half written,
what was read before is used.
"""

from __future__ import annotations

import base64
import logging
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rke2 import goyaml
from rke2.errors import KubeError
from rke2.host.files import Stamp, stamp_of

log = logging.getLogger(__name__)


class ApiCredentials:
    """Server URL and TLS client identity of the current context of a kubeconfig file.

    Args:
        path: the kubeconfig; it is read on first use, and again whenever it changes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: tuple[Path, ...] = (path,)
        self._stamp: Stamp | None = None
        self._server = ""
        self._token = ""
        self._context: ssl.SSLContext | None = None

    def current(self) -> tuple[str, ssl.SSLContext | None, str]:
        """Server URL, TLS context (None for plain http) and bearer token (may be empty).

        Raises:
            KubeError: the kubeconfig or a file it names is missing or malformed.
        """
        try:
            if self._stamp != stamp_of(self._files):
                self._load()
        except (OSError, ssl.SSLError, ValueError, LookupError, TypeError, goyaml.Error) as error:
            if self._stamp is None:
                raise KubeError(
                    f"kubeconfig {self._path} is not usable: {error}", reason="BadKubeconfig"
                ) from error
            # Looked at again with the next request: `rke2 certificate rotate` deletes files under a running process.
            log.debug("kubeconfig %s: going on with what it said before: %s", self._path, error)
        return self._server, self._context, self._token

    def _load(self) -> None:
        # Each stamp is taken before its file is read: what changes meanwhile is read again with the next request.
        (own,) = stamp_of((self._path,))
        document = goyaml.load(self._path.read_text()) or {}
        context = _named(document, "contexts", "context", document.get("current-context"))
        cluster = _named(document, "clusters", "cluster", context["cluster"])
        user = _named(document, "users", "user", context["user"])
        server = str(cluster["server"]).rstrip("/")
        named = (*_named_files(cluster), *_named_files(user))
        stamp = (own, *stamp_of(named))
        tls = _tls(cluster, user) if server.startswith("https:") else None
        # Nothing is kept before all could be read: a failure above leaves a whole set of earlier credentials.
        self._server, self._context, self._token = server, tls, str(user.get("token") or "")
        self._files, self._stamp = (self._path, *named), stamp


def _named(document: Mapping[str, Any], section: str, field: str, name: object) -> dict[str, Any]:
    """The entry `name` of a section; the only one, if no name is given."""
    entries = document[section]
    found = [e for e in entries if e["name"] == name] if name else list(entries)
    if len(found) != 1:
        raise ValueError(f"{section} has no entry named {name!r}")
    return found[0][field] or {}


_PATHS = ("certificate-authority", "client-certificate", "client-key")


def _named_files(section: Mapping[str, Any]) -> tuple[Path, ...]:
    return tuple(Path(section[key]) for key in _PATHS if section.get(key))


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    ca = _pem(cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=ca.decode() if ca else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _pem(user, "client-certificate")
    if certificate:
        _load_identity(context, certificate + b"\n" + _pem(user, "client-key"))
    return context


def _pem(section: Mapping[str, Any], key: str) -> bytes:
    embedded = section.get(f"{key}-data")
    if embedded:
        return base64.b64decode(embedded)
    return Path(section[key]).read_bytes() if section.get(key) else b""


def _load_identity(context: ssl.SSLContext, pem: bytes) -> None:
    """The ssl module only reads files; an anonymous memory file keeps the key off the disk."""
    fd = os.memfd_create("identity", os.MFD_CLOEXEC)
    try:
        os.write(fd, pem)
        context.load_cert_chain(f"/proc/self/fd/{fd}")
    finally:
        os.close(fd)
