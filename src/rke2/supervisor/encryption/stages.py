"""What follows from a request of ``rke2 secrets-encrypt``: a pure function of the keys, the stage and the request.

::

    start, reencrypt_finished ── prepare ──▶ prepare ── rotate ──▶ rotate ── reencrypt ──▶ reencrypt_finished
              └──────────────────────────── rotate-keys ─────────────────────────────────────▲

Mirrors the day2 reference §6.2 and §6.3. The stage is in the state file and in etcd, next to the keys, and is written
together with them. So whoever was killed in between has left a stage, and the same request goes on from there:
``rotate-keys`` begins with what `_REST` has for the stage it finds. (RKE2 refuses it then.) `REENCRYPT_ACTIVE` is in
the Node's annotation alone, as in RKE2: a server that starts again writes the stage of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rke2.errors import PKIError
from rke2.pki.encryption_config import AESCBC, EncryptionConfig


class Stage(StrEnum):
    """How far a rotation is."""

    START = "start"
    PREPARE = "prepare"
    ROTATE = "rotate"
    REENCRYPT_ACTIVE = "reencrypt_active"
    REENCRYPT_FINISHED = "reencrypt_finished"


RESTING = (Stage.START, Stage.REENCRYPT_FINISHED)
"""Stages in which no rotation is under way."""


class RotationStep(StrEnum):
    """One thing to do. After a step that changes the keys, they are on disk and in etcd with its stage."""

    ADD = "add"
    """A new key, to read with."""
    KNOWN = "known"
    """Wait until every API server goes by the keys that are written."""
    PROMOTE = "promote"
    """The newest key is the one that encrypts."""
    ACTIVE = "active"
    """Say that Secrets are about to be written again."""
    REWRITE = "rewrite"
    """Write every Secret again."""
    RETIRE = "retire"
    """Drop the keys that encrypt nothing any more."""
    ENABLE = "enable"
    DISABLE = "disable"


STAGE_AFTER = {
    RotationStep.ADD: Stage.PREPARE,
    RotationStep.PROMOTE: Stage.ROTATE,
    RotationStep.RETIRE: Stage.REENCRYPT_FINISHED,
}
"""Of the steps that change the stage; enabling and disabling keep it."""


class Verb(StrEnum):
    """What is asked for; `stage` of the request, or by ``enable``."""

    ENABLE = "enable"
    DISABLE = "disable"
    PREPARE = "prepare"
    ROTATE = "rotate"
    REENCRYPT = "reencrypt_active"
    ROTATE_KEYS = "rotate_keys"


@dataclass(frozen=True)
class Situation:
    """What a request meets.

    Args:
        config: the keys now.
        stage: of the state file.
        provider: this server's ``secrets-encryption-provider``: the type of a new key.
        alone: there is one API server. It cannot meet what another one has encrypted with a key unknown to it.
    """

    config: EncryptionConfig
    stage: Stage
    provider: str
    alone: bool = True


ANSWERED_AFTER = {Verb.ENABLE: 1, Verb.DISABLE: 1, Verb.REENCRYPT: 0}
"""How many of its steps a request waits for, if not for all; the others go on behind the answer."""

_WANTED = {
    Verb.PREPARE: RESTING,
    Verb.ROTATE: (Stage.PREPARE,),
    Verb.REENCRYPT: (Stage.ROTATE,),
    Verb.ROTATE_KEYS: (*RESTING, Stage.PREPARE, Stage.ROTATE),
}
"""The stages in which a request is taken, unless forced."""

# KNOWN before REWRITE: an API server with the former keys would write, behind the rewriting, what nobody can
# read once those are dropped.
_REWRITING = (RotationStep.ACTIVE, RotationStep.KNOWN, RotationStep.REWRITE, RotationStep.RETIRE)
# KNOWN before PROMOTE: an API server that has not loaded the
# new key could not read what others encrypt with it.
_PROMOTING = (RotationStep.KNOWN, RotationStep.PROMOTE, *_REWRITING)
_REST = {
    Stage.START: (RotationStep.ADD, *_PROMOTING),
    Stage.REENCRYPT_FINISHED: (RotationStep.ADD, *_PROMOTING),
    Stage.PREPARE: _PROMOTING,
    Stage.ROTATE: _REWRITING,
}
"""What is left of ``rotate-keys`` in a stage."""

_CLASSIC = {
    Verb.PREPARE: (RotationStep.ADD,),
    Verb.ROTATE: (RotationStep.KNOWN, RotationStep.PROMOTE),
    Verb.REENCRYPT: _REWRITING,
    # As in RKE2 no key is dropped here.
    Verb.ENABLE: (RotationStep.ENABLE, RotationStep.ACTIVE, RotationStep.KNOWN, RotationStep.REWRITE),
    Verb.DISABLE: (RotationStep.DISABLE, RotationStep.ACTIVE, RotationStep.KNOWN, RotationStep.REWRITE),
}


def decide(
    verb: Verb, now: Situation, node: str, *, force: bool = False, skip: bool = False
) -> tuple[RotationStep, ...]:
    """The steps that `verb` takes, in their order.

    Args:
        node: this server's, for messages.
        force: do not look at the stage.
        skip: keep the former keys.

    Raises:
        PKIError: it cannot be done now, in RKE2's words where it has some.
    """
    if verb in (Verb.PREPARE, Verb.ROTATE, Verb.REENCRYPT) and now.provider != AESCBC:
        name = "reencrypt" if verb is Verb.REENCRYPT else verb
        raise PKIError(f"{name} does not support {now.provider} key type, use rotate-keys instead")
    if verb in _WANTED and not force and now.stage not in _WANTED[verb]:
        raise PKIError(f"incorrect stage: {now.stage} found on node {node}", _NEXT.get(now.stage, ""))
    if verb in _WANTED and not now.config.enabled:
        raise PKIError("secrets encryption is disabled", "run `rke2 secrets-encrypt enable` first")
    if verb is Verb.ROTATE and not _has_new_key(now):
        raise PKIError("there is no new key to rotate to", "run `rke2 secrets-encrypt prepare` first")
    steps = _rest(now) if verb is Verb.ROTATE_KEYS else _CLASSIC[verb]
    if skip:
        steps = tuple(step for step in steps if step is not RotationStep.RETIRE)
    return _without_first_wait(steps) if now.alone else steps


_NEXT = {
    Stage.PREPARE: "`rke2 secrets-encrypt rotate` is next; `rotate-keys` does all that is left",
    Stage.ROTATE: "`rke2 secrets-encrypt reencrypt` is next; `rotate-keys` does all that is left",
}


def _rest(now: Situation) -> tuple[RotationStep, ...]:
    """What is left of ``rotate-keys``; all of it where the type was changed after a key of another one was added."""
    begun = now.stage is not Stage.PREPARE or _has_new_key(now)
    return _REST[now.stage] if begun else _REST[Stage.START]


def _has_new_key(now: Situation) -> bool:
    """Whether there is a key of the type that does not encrypt yet."""
    return bool(now.config.keys(now.provider)) and now.config.keys(now.provider)[-1] != now.config.active


def _without_first_wait(steps: tuple[RotationStep, ...]) -> tuple[RotationStep, ...]:
    """A wait before promoting is for other API servers, which must be able to read what this one writes then."""
    at = [
        index
        for index, step in enumerate(steps[:-1])
        if (step, steps[index + 1]) == (RotationStep.KNOWN, RotationStep.PROMOTE)
    ]
    return tuple(step for index, step in enumerate(steps) if index not in at)
