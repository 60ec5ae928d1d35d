"""One setting of one flag, with the place it comes from: what command line and files are turned into."""

from __future__ import annotations

from dataclasses import dataclass

from rke2.config.flag import Command, Flag
from rke2.config.flags import K3S_ONLY, flags_of
from rke2.config.redaction import masked_setting
from rke2.config.suggest import did_you_mean


@dataclass(frozen=True)
class Assignment:
    """`flag` is given `text`.

    Args:
        source: where, for messages: ``the command line``, ``/etc/rancher/rke2/config.yaml:3``, …
    """

    flag: Flag
    text: str
    source: str

    @property
    def shown(self) -> str:
        """The text, without the secrets in it."""
        return masked_setting(self.flag, self.text)


def is_of_other(command: Command, name: str) -> bool:
    """Whether `name` is a flag of the other kind of node, and none of `command`'s."""
    return name not in flags_of(command) and name in flags_of("agent" if command == "server" else "server")


def explain_unknown(command: Command, name: str, prefix: str = "") -> tuple[str, str]:
    """Why `command` has no flag `name`, and what to do about it.

    Args:
        prefix: put before names of flags, ``--`` when speaking of the command line.

    Returns:
        A clause that follows the name in a message, and a remedy (may be empty).
    """
    other: Command = "agent" if command == "server" else "server"
    if name in flags_of(other):
        return f"is a flag of `rke2 {other}`, not of `rke2 {command}`", f"remove {prefix}{name}"
    if name in K3S_ONLY:
        return "is a flag of k3s that RKE2 does not have", f"remove {prefix}{name}"
    known = [flag.name for flag in flags_of(command).values() if not flag.hidden]
    return f"is not a flag of `rke2 {command}`", did_you_mean(name, known, prefix)
