"""The JSON of ``POST /db/snapshot`` (day2 reference §3.2). An absent field differs from an empty one."""

from __future__ import annotations

from typing import Any

import msgspec

from rke2.errors import ConfigError

SAVE, LIST, PRUNE, DELETE = "save", "list", "prune", "delete"
OPERATIONS = (SAVE, LIST, PRUNE, DELETE)

VERIFIED = "rke2.io/snapshot-verified"
"""Annotation of what ``list`` answers with, and of the cluster's objects (ours): when the last drill restored the
snapshot for a trial, and why that failed if it did."""


class SnapshotRequestError(ConfigError):
    """A request that cannot be done as it is: its sender has to change it."""


class SnapshotRequest(msgspec.Struct, omit_defaults=True, frozen=True):
    """What is asked for.

    Args:
        name: of save and prune the base name, of delete the files.
        dir: where, if not where the server is configured to.
        retention: how many to keep; 0 prunes nothing.
        s3: any settings at all mean that S3 is wanted.
        compression: how `compress` does it (ours).
    """

    operation: str
    name: list[str] | None = None
    dir: str | None = None
    compress: bool | None = None
    retention: int | None = None
    s3: dict[str, Any] | None = None
    compression: str | None = None

    @property
    def base(self) -> str | None:
        return self.name[0] if self.name else None

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


class VerifyRequest(msgspec.Struct, omit_defaults=True, frozen=True):
    """Which snapshot to prove (ours); without a name the newest."""

    name: str = ""
    dir: str | None = None


class SnapshotAnswer(msgspec.Struct, omit_defaults=True, frozen=True):
    """What was done, by file name; empty lists are left out.

    Args:
        created: a name that is here and in S3 stands twice, also in `deleted`.
        errors: what could not be done although the rest was (ours; RKE2's client does not look at it).
    """

    created: list[str] = []
    deleted: list[str] = []
    errors: list[str] = []

    def and_then(self, other: SnapshotAnswer) -> SnapshotAnswer:
        """This, and what was done after it."""
        return SnapshotAnswer(
            self.created + other.created, self.deleted + other.deleted, self.errors + other.errors
        )

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


def parse_request(body: bytes) -> SnapshotRequest:
    """Read a request; fields nobody knows are ignored.

    Raises:
        msgspec.DecodeError: it is no JSON of this form.
    """
    return msgspec.json.decode(body, type=SnapshotRequest)


def parse_answer(body: bytes) -> SnapshotAnswer:
    """Read an answer; ``null``, which a learner answers, is an empty one.

    Raises:
        msgspec.DecodeError: it is something else.
    """
    return msgspec.json.decode(body, type=SnapshotAnswer | None) or SnapshotAnswer()
