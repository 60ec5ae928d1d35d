"""The table of causes: why a pod is not ready, by its status, its events and the last words of its containers."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rke2.causes import events as told
from rke2.causes.scheduling import not_looked_at, without_node
from rke2.causes.wording import gist
from rke2.lifecycle.last_words import last_words

Object = Mapping[str, Any]

LastWords = Callable[[Object, Object], str]
"""What a container said last, given its pod and its status; empty if nobody knows."""

RECENT_SECONDS = 600.0
"""A container that runs for longer is not thought to crash any more, as the kubelet's back-off has it."""


@dataclass(frozen=True)
class Seen:
    """What is known of a pod.

    Args:
        events: of the pod.
        nodes: of the cluster, whose taints are named.
        last_words: of its containers.
        kubelet: what the kubelet's log says of it, where events cannot be read.
        now: Unix time.
    """

    pod: Object
    events: Sequence[Object] = ()
    nodes: Sequence[Object] = ()
    last_words: LastWords = lambda pod, status: ""
    kubelet: str = ""
    now: float = 0.0

    @property
    def status(self) -> Object:
        found: Object = self.pod.get("status", {})
        return found

    def containers(self) -> Iterator[Object]:
        """The statuses of all containers, those of init containers first."""
        yield from self.status.get("initContainerStatuses") or ()
        yield from self.status.get("containerStatuses") or ()


@dataclass(frozen=True)
class Why:
    """A cause.

    Args:
        words: a line; empty if nothing is known.
        passing: it is on its way; nothing is wrong.
    """

    words: str = ""
    passing: bool = False


@dataclass(frozen=True)
class Cause:
    """A row of the table.

    Args:
        name: of the cause.
        look: what is said of the pod; empty if the cause is another one.
        passing: nothing is wrong.
    """

    name: str
    look: Callable[[Seen], str]
    passing: bool = False


def why(seen: Seen) -> Why:
    """The first cause of the table that the pod has."""
    for cause in CAUSES:
        if words := cause.look(seen):
            return Why(words, cause.passing)
    return Why()


def needs_events(pod: Object) -> bool:
    """Whether the pod's own status leaves the cause open."""
    return not any(cause.look(Seen(pod)) for cause in CAUSES if cause.name in _IN_STATUS)


# --- one function for each row ---------------------------------------------------------------------
def _refused(seen: Seen) -> str:
    """Evicted, or not admitted by the kubelet."""
    reason = seen.status.get("reason", "")
    if seen.status.get("phase") != "Failed" or not reason:
        return ""
    return f"{reason}: {gist(str(seen.status.get('message', '')))}"


def _removed(seen: Seen) -> str:
    if "deletionTimestamp" not in seen.pod["metadata"]:
        return ""
    finalizers = ", ".join(seen.pod["metadata"].get("finalizers") or ())
    return f"it is being removed; held by the finalizers {finalizers}" if finalizers else ""


def _scheduling(seen: Seen) -> str:
    return without_node(seen.pod, seen.nodes)


def _no_scheduler(seen: Seen) -> str:
    return "no scheduler has looked at it yet" if not_looked_at(seen.pod) else ""


_IMAGE = (
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_CONTAINER = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PostStartHookError")


def _image(seen: Seen) -> str:
    for each, words in _waiting(seen, _IMAGE):
        return words if words.startswith("image ") else f"image {each['image']}: {words}"
    return ""


def _not_made(seen: Seen) -> str:
    return next((f"container {each['name']}: {words}" for each, words in _waiting(seen, _CONTAINER)), "")


def _waiting(seen: Seen, reasons: Sequence[str]) -> Iterator[tuple[Object, str]]:
    """The containers that wait for one of `reasons`, with the kubelet's message."""
    for each in seen.containers():
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in reasons:
            yield each, gist(str(waiting.get("message") or waiting["reason"]))


def _killed_by_probe(seen: Seen) -> str:
    for each, ended in _ended(seen):
        if ended.get("reason") != "OOMKilled" and told.was_killed_by_probe(seen.events, each["name"]):
            said = told.of_probe(seen.events, each["name"], "Liveness") or told.of_probe(
                seen.events, each["name"], "Startup"
            )
            return f"container {each['name']} is restarted: {said or 'its liveness probe failed'}"
    return ""


def _out_of_memory(seen: Seen) -> str:
    for each, ended in _ended(seen):
        if ended.get("reason") == "OOMKilled":
            limit = _memory_limit(seen.pod, each["name"])
            return (
                f"container {each['name']} was killed for using too much memory"
                f" ({f'limit {limit}' if limit else 'without a limit of its own'}, {_exit(ended)})"
            )
    return ""


def _crashed(seen: Seen) -> str:
    for each, ended in _ended(seen):
        said = _message(ended) or seen.last_words(seen.pod, each)
        return f"container {each['name']} ended with {_exit(ended)}" + (f": {said}" if said else "")
    return ""


def _ended(seen: Seen) -> Iterator[tuple[Object, Object]]:
    """The containers that have ended and should not have, with how; also those that were started again just now."""
    on = seen.pod.get("spec", {}).get("restartPolicy", "Always")
    names = {each["name"] for each in seen.status.get("containerStatuses") or ()}
    for each in seen.containers():
        state, before = each.get("state") or {}, (each.get("lastState") or {}).get("terminated")
        # An init container, and one that is not restarted after success, may end well.
        may_end = each["name"] not in names or on != "Always"
        ended = state.get("terminated") or before
        if ended is None or (ended.get("exitCode") == 0 and may_end):
            continue
        if "running" in state and (each.get("ready") or not _is_recent(ended, seen.now)):
            continue
        yield each, ended


def _is_recent(ended: Object, now: float) -> bool:
    try:
        at = datetime.fromisoformat(str(ended.get("finishedAt"))).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return False
    return now - at < RECENT_SECONDS


def _exit(ended: Object) -> str:
    code = int(ended.get("exitCode", 0))
    number = int(ended.get("signal") or (code - 128 if code > 128 else 0))
    names = {each.value: each.name for each in signal.Signals}
    return f"exit code {code}" + (f", {names[number]}" if number in names else "")


def _message(ended: Object) -> str:
    """Of several lines, as ``FallbackToLogsOnError`` leaves them, the one that tells of the error."""
    return gist(last_words(str(ended.get("message") or "").splitlines()))


def _memory_limit(pod: Object, container: str) -> str:
    spec = pod.get("spec", {})
    every = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    found: Object = next((each for each in every if each["name"] == container), {})
    return str(found.get("resources", {}).get("limits", {}).get("memory", ""))


def _probe(seen: Seen) -> str:
    for each in seen.status.get("containerStatuses") or ():
        if "running" in (each.get("state") or {}) and not each.get("ready"):
            return told.of_probe(seen.events, each["name"])
    return ""


def _event(seen: Seen) -> str:
    newest = told.newest(seen.events)
    return "" if newest.passing else newest.words


def _under_way(seen: Seen) -> str:
    return told.newest(seen.events).words


def _kubelet(seen: Seen) -> str:
    return seen.kubelet


CAUSES = (
    Cause("refused", _refused),
    Cause("removal", _removed),
    Cause("scheduling", _scheduling),
    Cause("no scheduler", _no_scheduler, passing=True),
    Cause("image", _image),
    Cause("container cannot be made", _not_made),
    Cause("liveness probe", _killed_by_probe),
    Cause("memory", _out_of_memory),
    Cause("crash", _crashed),
    Cause("readiness probe", _probe),
    Cause("sandbox, volumes and the like", _event),
    Cause("the kubelet's log", _kubelet),
    Cause("under way", _under_way, passing=True),
)
"""In the order in which they are looked at: what stops a pod for good comes before what happened on the way there."""

_IN_STATUS = ("refused", "removal", "scheduling", "image", "container cannot be made", "memory")
"""The causes that need no events."""
