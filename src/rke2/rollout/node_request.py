"""What the leading server and a node say to each other about an upgrade: two annotations of the Node.

A request names a version and never a path: whoever may write a Node must not be able to choose a program.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from rke2.kube.objects import Object, annotations_of
from rke2.rollout.names import ANSWER, REQUEST

DONE, FAILED, ROLLED_BACK = "done", "failed", "rolled-back"
STAGED = "staged"
ENDED = frozenset({DONE, FAILED, ROLLED_BACK})
"""Steps after which a node does nothing more about a request."""
PREPARED = frozenset({STAGED, "switching", "proving", DONE})
"""Steps at which the images are on the node."""


class UpgradeRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a node is to do.

    Args:
        version: of the release, such as ``v1.37.2+rke2py1``.
        plan: ``namespace/name`` of the Plan.
        hash: of the Plan; the answer repeats it.
        stage: only bring the release onto the node and import its images.
        since: when it was asked (RFC 3339).
    """

    version: str
    plan: str = ""
    hash: str = ""
    stage: bool = False
    since: str = ""


class UpgradeAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a node is.

    Args:
        step: staging, staged, switching, proving, done, failed or rolled-back.
        reason: why it failed.
        since: when the step began (RFC 3339).
    """

    version: str
    hash: str = ""
    step: str = ""
    reason: str = ""
    since: str = ""


T = TypeVar("T", UpgradeRequest, UpgradeAnswer)


def read_request(node: Object) -> UpgradeRequest | None:
    """What is asked of a Node; None if nothing is, or nobody can read it."""
    return _read(annotations_of(node).get(REQUEST, ""), UpgradeRequest)


def read_answer(node: Object) -> UpgradeAnswer | None:
    """What a Node has answered; None as `read_request`."""
    return _read(annotations_of(node).get(ANSWER, ""), UpgradeAnswer)


def as_text(said: UpgradeRequest | UpgradeAnswer) -> str:
    """The value of the annotation."""
    return msgspec.json.encode(said).decode()


def _read(text: str, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(text, type=kind) if text else None
    except msgspec.MsgspecError:
        # Anybody who may write the Node has written it: it must not stop the other nodes.
        return None
