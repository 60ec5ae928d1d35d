"""HTTP requests from pods, by the programs of the tests' own image."""

from __future__ import annotations

from tests.cluster.namespace import Namespace

SECONDS = 2
TIMED_OUT = "timed out"
_TERMINATED = (124, 143)


def get(url: str) -> list[str]:
    """The command that prints what is at `url`; after `SECONDS` it is ended with SIGTERM.

    Not wget's own limit: the option lets the wget of Debian 12's busybox-static crash.
    """
    return ["timeout", f"{SECONDS}", "wget", "-q", "-O", "-", f"http://{url}/"]


def fetch(namespace: Namespace, pod: str, url: str) -> str:
    """What `pod` gets from `url`: the answer, `TIMED_OUT`, or the error of wget."""
    done = namespace.exec(pod, *get(url))
    if done.returncode in _TERMINATED:
        return TIMED_OUT
    return done.stdout.strip() or done.stderr.strip()
