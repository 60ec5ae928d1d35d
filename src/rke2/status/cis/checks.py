"""The kinds of checks: each makes a function that looks at the evidence and says what it found."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rke2.config.paths import Paths
from rke2.status.cis.evidence import Evidence, FileFact


class Result(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    MANUAL = "manual"
    """A node cannot know it; somebody has to look."""


@dataclass(frozen=True)
class CisVerdict:
    result: Result
    evidence: str


Check = Callable[[Evidence], CisVerdict | None]
"""None where the point is about something that this node does not have."""
Places = Callable[[Paths], list[tuple[Path, str]]]
Fits = Callable[[str | None], bool]
"""Whether a value is as it should be; None is for one that is not set."""


def manual(why: str) -> Check:
    """`why` says what to look at."""
    return lambda evidence: CisVerdict(Result.MANUAL, why)


def _verdict(good: bool, evidence: str) -> CisVerdict:
    return CisVerdict(Result.PASS if good else Result.FAIL, evidence)


# --- values ----------------------------------------------------------------------------------------
def equals(*wanted: str) -> Fits:
    return lambda value: value in wanted


def is_set(value: str | None) -> bool:
    return bool(value)


def is_not_set(value: str | None) -> bool:
    return not value


def lists(wanted: str) -> Fits:
    return lambda value: wanted in (value or "").split(",")


def lacks(unwanted: str) -> Fits:
    return lambda value: unwanted not in (value or "").split(",")


def are_all(known: Collection[str]) -> Fits:
    """A list that has nothing but items of `known`; an empty one leaves the choice to the program."""
    return lambda value: bool(value) and all(item in known for item in (value or "").split(","))


def at_least(least: int) -> Fits:
    return lambda value: value is not None and value.isdecimal() and int(value) >= least


def is_on_this_host(value: str | None) -> bool:
    """An address to listen on, with or without a port, that no other host reaches; or none is set."""
    return not value or value.startswith(("127.", "[::1]", "localhost"))


def argument(pod: str, fits: Fits, *names: str) -> Check:
    """Every one of the arguments `names` of a static pod."""

    def check(evidence: Evidence) -> CisVerdict | None:
        found = evidence.arguments(pod)
        if found is None:
            return None
        shown = ", ".join(_shown(f"--{name}", found.get(name)) for name in names)
        return _verdict(all(fits(found.get(name)) for name in names), shown)

    return check


def kubelet(fits: Fits, path: str) -> Check:
    """A setting of the kubelet's configuration, such as ``authentication.x509.clientCAFile``."""
    return lambda evidence: _setting(evidence.kubelet, fits, path)


def etcd(fits: Fits, *paths: str) -> Check:
    """Settings of etcd's configuration."""

    def check(evidence: Evidence) -> CisVerdict | None:
        found = [_setting(evidence.etcd, fits, path) for path in paths]
        told = [verdict for verdict in found if verdict]
        if not told:
            return None
        good = all(verdict.result is Result.PASS for verdict in told)
        return _verdict(good, ", ".join(verdict.evidence for verdict in told))

    return check


def _setting(document: Mapping[str, Any] | None, fits: Fits, path: str) -> CisVerdict | None:
    if document is None:
        return None
    found: Any = document
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    value = None if found is None else _text(found)
    return _verdict(fits(value), _shown(path, value))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(name: str, value: str | None) -> str:
    return f"{name} is not set" if value is None else f"{name}={value}"


# --- files -----------------------------------------------------------------------------------------
def modes(most: int, places: Places) -> Check:
    """No file has a permission bit that is not in `most`."""
    return _files(places, lambda fact: not fact.mode & ~most, lambda fact: f"{fact.mode:04o}")


def owner(wanted: str, places: Places) -> Check:
    """Every file belongs to `wanted` (user:group)."""
    return _files(places, lambda fact: fact.owner == wanted, lambda fact: fact.owner)


def _files(places: Places, good: Callable[[FileFact], bool], shown: Callable[[FileFact], str]) -> Check:
    def check(evidence: Evidence) -> CisVerdict | None:
        found = evidence.files(places(evidence.paths))
        if not found:
            return None
        wrong = [fact for fact in found if not good(fact)]
        told = "; ".join(f"{fact.path} {shown(fact)}" for fact in wrong or found[:1])
        more = f" and {len(found) - 1} more" if not wrong and len(found) > 1 else ""
        return _verdict(not wrong, told + more)

    return check
