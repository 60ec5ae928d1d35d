"""TLS of port 9345: versions and suites as the apiserver's, client certificates optional.

RKE2 requests client certificates and verifies none in the handshake. Python's `ssl` cannot do all of that: a
certificate that the client CA has not signed ends the handshake here, where RKE2 would go on and look at other
credentials. Its dates, however, are left to `rke2.supervisor.authentication`, so that a node which was off for too
long can renew its certificate with its token.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from rke2.config.model import NodeConfig
from rke2.errors import ConfigError
from rke2.supervisor.serving import ServingCertificate

_VERSIONS = {
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
}

_SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Suites of TLS 1.2 by their Kubernetes names; those of TLS 1.3 cannot be chosen."""

_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""``X509_V_FLAG_NO_CHECK_TIME`` of OpenSSL, for which `ssl` has no name."""

_TLS13_PREFIXES = ("TLS_AES_", "TLS_CHACHA20_")


def server_context(config: NodeConfig, certificate: ServingCertificate, client_ca: bytes) -> ssl.SSLContext:
    """The context of the listener.

    Args:
        client_ca: PEM bundle of the authorities of client certificates.

    Raises:
        ssl.SSLError: `client_ca` is not a bundle of certificates.
        ConfigError: ``tls-min-version`` or ``tls-cipher-suites`` of ``kube-apiserver-arg`` is not usable.
    """
    args = _apiserver_args(config)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _minimum_version(args.get("tls-min-version", "VersionTLS12"))
    context.set_ciphers(_cipher_list(args.get("tls-cipher-suites", ",".join(_SUITES))))
    context.set_alpn_protocols(["http/1.1"])  # RKE2 also offers h2; every client of it speaks this, too
    context.load_verify_locations(cadata=client_ca.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= _NO_CHECK_TIME
    load_certificate(context, certificate)
    return context


def load_certificate(context: ssl.SSLContext, certificate: ServingCertificate) -> None:
    """Serve `certificate` from the next connection on.

    OpenSSL reads files only; an anonymous one keeps the key off the disk.
    """
    fd = os.memfd_create("serving-certificate")
    try:
        os.write(fd, certificate.certificate + certificate.key)
        context.load_cert_chain(Path(f"/proc/self/fd/{fd}"))
    finally:
        os.close(fd)


def _apiserver_args(config: NodeConfig) -> dict[str, str]:
    pairs = (arg.removeprefix("--").partition("=") for arg in config.component("kube-apiserver").args)
    return {key: value for key, _, value in pairs}


def _minimum_version(name: str) -> ssl.TLSVersion:
    try:
        return _VERSIONS[name]
    except KeyError:
        choices = " or ".join(_VERSIONS)
        raise ConfigError(
            f"kube-apiserver-arg: tls-min-version {name!r} is not usable", f"use {choices}"
        ) from None


def _cipher_list(names: str) -> str:
    chosen = [name.strip() for name in names.split(",") if not name.strip().startswith(_TLS13_PREFIXES)]
    unknown = [name for name in chosen if name not in _SUITES]
    if unknown:
        raise ConfigError(
            f"kube-apiserver-arg: tls-cipher-suites: {unknown[0]!r} is unknown or insecure",
            f"choose from {', '.join(_SUITES)}",
        )
    # Where suites of TLS 1.3 alone are named nothing is left, and OpenSSL takes no empty list.
    return ":".join(dict.fromkeys(_SUITES[name] for name in chosen or _SUITES))
