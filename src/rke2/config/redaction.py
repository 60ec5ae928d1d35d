"""What is a secret among settings and environment variables, and how it is shown where others can read it.

The only place that knows: annotations of the Node, messages and environments of child processes all ask here. What
RKE2 masks is masked; more is where a value of another kind holds a secret (a password in a URL, a token in an
argument of a component).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping

from rke2.config.flag import Command, Flag
from rke2.config.flags import flags_of

MASK = "********"
"""What RKE2 writes in place of a secret."""

_PREFIX = "RKE2_"
_WORDS = re.compile(
    r"token|secret|passw|passphrase|pwd|credential|apikey|accesskey|(?:^|[-_.])key(?:$|[-_.])|(?:^|[-_.])psk$",
    re.IGNORECASE,
)
_NOT_ITSELF = re.compile(
    r"(?:file|dir|path|expiration|ttl|timeout|provider|config|name|policy|resources|(?:^|[-_.])id)$",
    re.IGNORECASE,
)
"""Ends of names that speak of a secret without holding it: where it lies, how long it is good for."""
_PUBLIC = frozenset(
    {"node-label", "node-taint", "control-plane-resource-requests", "control-plane-resource-limits"}
)
"""Flags whose values are on the Node for everybody to read, whatever they are called."""

_LOGIN = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://(?:[^\s/@:]*:)?)\S+(?=@)", re.IGNORECASE)
"""Password in a URL or in a database's address, or what stands there alone; it may hold anything but white space."""
_TOKEN = re.compile(
    r"(?P<before>K10[0-9a-f]{64}::|(?<![a-z0-9.-])[a-z0-9]{6}\.(?=[a-z]{0,15}\d)(?=[a-z0-9]{16}(?![a-z0-9.-])))\S+"
)
"""A full token; a bootstrap token (whose second part is random, so it holds a digit: host names seldom do)."""
_PAIR = re.compile(r"(?P<name>[A-Za-z][\w.-]*)=(?P<value>[^\s&,;?]+)")
_PEM = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*", re.DOTALL)


def is_secret(name: str) -> bool:
    """Whether a variable, argument or parameter called `name` holds a secret."""
    return bool(_WORDS.search(name)) and not _NOT_ITSELF.search(name)


def masked(text: str) -> str:
    """`text` without the secrets in it: passwords of URLs, joining tokens, private keys, values of secret names."""
    name, equals, _ = text.partition("=")
    if equals and is_secret(name):
        return f"{name}={MASK}"  # whatever characters its value has
    text = _PEM.sub(MASK, text)
    for pattern in (_LOGIN, _TOKEN):
        text = pattern.sub(rf"\g<before>{MASK}", text)
    return _PAIR.sub(_masked_pair, text)


def masked_setting(flag: Flag, text: str) -> str:
    """The value `text` of `flag`, as others may see it."""
    if flag.secret:
        return MASK if text else text
    return text if flag.name in _PUBLIC else masked(text)


def masked_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables whose names begin with ``RKE2_``, as others may see them."""
    own = {name: value for name, value in environ.items() if name.startswith(_PREFIX)}
    secret = _secret_variables(("server", "agent"))
    return {name: MASK if name in secret or is_secret(name) else masked(value) for name, value in own.items()}


def take_secrets_out(environ: MutableMapping[str, str], command: Command) -> None:
    """Remove from `environ`, which children inherit, what only rke2 itself needs of it: tokens, keys of S3.

    To be called when the configuration has been read. Variables of other programs stay, and so do those of
    proxies, with which containerd and the kubelet's credential providers get out.
    """
    secret = _secret_variables((command,))
    for name in list(environ):
        if name in secret or (name.startswith(_PREFIX) and is_secret(name)):
            del environ[name]


def without_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a program that speaks with this machine alone: it needs neither proxies nor their passwords."""
    return {name: value for name, value in environ.items() if not name.lower().endswith("_proxy")}


def _masked_pair(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"]
    return f"{name}={MASK if is_secret(name) else _PAIR.sub(_masked_pair, value)}"


def _secret_variables(commands: Iterable[Command]) -> frozenset[str]:
    flags = (flag for command in commands for flag in flags_of(command).values() if flag.secret)
    return frozenset(name for flag in flags for name in flag.env)
