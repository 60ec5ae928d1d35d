"""Messages of containerd, the kubelet and the scheduler, as one line that begins with what is the matter.

They come wrapped in the names of every layer they passed, each with the pod's name, uid and sandbox again.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rke2.host.clocks import duration

LONGEST = 400

_WRAPPINGS: tuple[tuple[str, str], ...] = (
    # gRPC's, around everything that the CRI says.
    (r"rpc error: code = \w+ desc = ", ""),
    (r"[Ff]ailed to create (?:pod )?sandbox(?: for pod \\?\"[^\"]*\"| in sandbox store)?: ", ""),
    (r"failed to (?:setup|set up) (?:network for )?sandbox \"[0-9a-f]+\": ", "network: "),
    (r"plugin type=\"(\S+)\" failed \(add\): ", r"CNI plugin \1: "),
    (r"[Ff]ailed to create containerd task: failed to create shim task: ", ""),
    (r"OCI runtime create failed: runc create failed: ", ""),
    (r"failed to start containerd task \"[0-9a-f]+\": ", ""),
    # The kubelet's back-off, before the error that it backs off from.
    (r"Back-off pulling image \"([^\"]*)\"(?:: \w+)?", r"image \1"),
    (r"[Ff]ailed to pull image \"([^\"]*)\"", r"image \1"),
    (r"failed to pull and unpack image \"[^\"]*\": ", ""),
    (r"failed to resolve (?:reference|image) \"[^\"]*\": ", ""),
    (r"failed to do request: (?:Head|Get) \"[^\"]*\": ", ""),
    # Another port at every attempt.
    (r"(?:read|write) (?:udp|tcp) \S+->\S+: ", ""),
    (r"MountVolume\.(?:SetUp|MountDevice) failed for volume", "volume"),
    (r"volume \"([^\"]+)\" \(UniqueName: [^)]*\) pod \"[^\"]*\" \(UID: [^)]*\) ?", r'volume "\1"'),
    (r"(volume \"[^\"]+\") : ", r"\1: "),
    # The scheduler's second half, of victims, says nothing where nobody has the other's priority.
    (r"[.,]? preemption: .*$", ""),
    (r"\.? no new claims to deallocate", ""),
    (r"(not found)\. not found$", r"\1"),
    (r"[0-9a-f]{64}", "…"),
)
"""What is taken away or shortened: a regular expression and what stands in its place."""

_CLOCK = re.compile(r"current time (\S+) is (before|after) (\S+)")
"""Of Go's error about a certificate that is not valid now."""


def gist(message: str) -> str:
    """The message in a line without its wrappings, with what a clock that is wrong does to it."""
    text = " ".join(message.split())
    for pattern, instead in _WRAPPINGS:
        text = re.sub(pattern, instead, text)
    return _of_clocks(text.strip())[:LONGEST]


def _of_clocks(text: str) -> str:
    """Go says which moments it compared; a clock that is behind is the likelier reason of the two."""
    found = _CLOCK.search(text)
    if not found or found[2] == "after":
        return text
    now, begins = _moment(found[1]), _moment(found[3].rstrip(',;."'))
    if now is None or begins is None:
        return text
    return f"{text} (a clock is at least {duration(begins - now)} behind: set the clocks)"


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
