"""What depends on the minor version of Kubernetes that a node runs: one row a minor.

The version is that of the node's runtime image, which brings the kubelet; without one of its own, or with one whose tag
says nothing, that of this release.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rke2.config.model import ImageSettings
from rke2.version import KUBERNETES_VERSION

_VERSION = re.compile(r"v?1\.(\d+)\.\d")


@dataclass(frozen=True)
class Minor:
    """A minor version of Kubernetes.

    Attributes:
        number: 36 for Kubernetes 1.36.
        gone: program -> flag that it no longer has -> what to do instead. Naming one ends the program.
        gone_controllers: of kube-controller-manager, the same.
    """

    number: int
    gone: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    gone_controllers: Mapping[str, str] = field(default_factory=dict)

    def has(self, program: str, flag: str) -> bool:
        """Whether `program` still takes `flag`; both without dashes in front."""
        return flag not in self.gone.get(program, {})


MINORS: Mapping[int, Minor] = {36: Minor(36)}
"""Those that a node can run."""


def of(images: ImageSettings) -> Minor:
    """The minor version that a node with these images runs; the next known one below, of one that is not known."""
    tag = images.runtime.rpartition("/")[2].rpartition(":")[2]
    found = _VERSION.match(tag) or _VERSION.match(KUBERNETES_VERSION)
    assert found, KUBERNETES_VERSION
    number = int(found[1])
    return MINORS[max((known for known in MINORS if known <= number), default=min(MINORS))]
