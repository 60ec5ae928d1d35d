"""Where an image may be fetched from: a registry or a mirror of it, and how to introduce oneself there."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from rke2.errors import ConfigError

AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities that they trust, all in one file."""


@dataclass(frozen=True)
class RegistryCredentials:
    """Name and password, or a token that is exchanged for others (OAuth 2's refresh token)."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


@dataclass(frozen=True)
class Trust:
    """Files with the CA to trust besides the system's and with our certificate; empty if there are none."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    insecure: bool = False

    def context(self) -> ssl.SSLContext:
        """What connections are made with.

        Raises:
            ConfigError: a file cannot be used.
        """
        context = ssl.create_default_context()
        trust_the_system(context)
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.ca_file:
            _load(self.ca_file, lambda: context.load_verify_locations(self.ca_file))
        if self.cert_file or self.key_file:
            certificate, key = self.cert_file or self.key_file, self.key_file or None
            _load(f"{certificate}, {key}", lambda: context.load_cert_chain(certificate, key))
        return context


def trust_the_system(context: ssl.SSLContext) -> None:
    """Find the system's authorities where OpenSSL does not: it knows one place, that of the system it was built for.

    That one, or what ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` say, comes first. Go's programs look as this does.
    """
    default = ssl.get_default_verify_paths()
    if default.cafile is None and default.capath is None:
        for file in AUTHORITIES:
            if Path(file).is_file():
                context.load_verify_locations(file)
                return


def _load(name: str, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as error:  # ssl.SSLError is one
        reason = error.strerror or getattr(error, "reason", "") or str(error)
        raise ConfigError(f"TLS file of a registry {name}: {reason}", "see configs.<host>.tls") from error


@dataclass(frozen=True)
class Source:
    """One endpoint.

    Args:
        url: what comes before ``/<repository>/manifests/…``: with the ``/v2``, or what stands for it.
        namespace: on a mirror, the registry it stands for; mirrors of several need to be told.
        rewrites: pattern -> replacement for the repository's name.
    """

    url: str
    namespace: str = ""
    credentials: RegistryCredentials | None = None
    trust: Trust = Trust()
    rewrites: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def repository(self, name: str) -> str:
        """The name of repository `name` here."""
        return rewrite(name, self.rewrites)

    @property
    def query(self) -> str:
        return f"?ns={quote(self.namespace, safe='')}" if self.namespace else ""


def rewrite(name: str, rules: Mapping[str, str]) -> str:
    """Apply the first rule that changes `name`; ``$1`` and ``${name}`` stand for groups, as in Go.

    Raises:
        ConfigError: a pattern is not a regular expression.
    """
    for pattern, replacement in rules.items():
        try:
            changed = _replace(re.compile(pattern), replacement, name)
        except re.error as error:
            raise ConfigError(f"rewrite rule {pattern!r}: {error}", "see mirrors.<host>.rewrite") from error
        if changed != name:
            return changed
    return name


def _replace(pattern: re.Pattern[str], template: str, name: str) -> str:
    """Every match replaced; an empty one right after another is left, as in Go (Python's `re.sub` replaces it)."""
    parts, end = [], -1
    for match in pattern.finditer(name):
        if match.end() > match.start() or match.start() != end:
            parts += [name[max(end, 0) : match.start()], _expand(template, match)]
            end = match.end()
    return "".join((*parts, name[max(end, 0) :]))


_GROUP = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})", re.ASCII)


def _expand(template: str, match: re.Match[str]) -> str:
    return _GROUP.sub(lambda each: _group(match, each[1] or each[2]), template)


def _group(match: re.Match[str], name: str | None) -> str:
    """A group that does not exist is empty, as Go has it; ``$$`` is a dollar."""
    if name is None:
        return "$"
    try:
        return match[int(name) if name.isdecimal() else name] or ""
    except IndexError:
        return ""
