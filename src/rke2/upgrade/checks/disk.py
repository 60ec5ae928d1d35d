"""Room for the new release's images on every node."""

from __future__ import annotations

from collections.abc import Iterator

from rke2.installation.staging import IMPORTED
from rke2.upgrade.facts import Facts
from rke2.upgrade.findings import Finding, note, stop, warning

_SPARE = 1.1
"""With less than a tenth left over, the kubelet may begin to remove images."""


def check(facts: Facts) -> Iterator[Finding]:
    """Nodes whose disk is too small for the images beside those of the present release."""
    if not facts.then.archives:
        yield note(
            "how large the images are is not known: the release's files are not at hand",
            "name their directory with --to",
        )
        return
    needed = IMPORTED * facts.then.archives
    for node in facts.nodes:
        if node.free is None:
            yield warning(
                f"the kubelet of {node.name} does not say how much room there is",
                f"look there: about {_size(needed)} are needed",
            )
        elif node.free < needed * _SPARE:
            severity = stop if node.free < needed else warning
            yield severity(
                f"{node.name} has {_size(node.free)} left for images, and about {_size(needed)} are needed",
                "free room on the file system of the data directory there",
            )


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"
