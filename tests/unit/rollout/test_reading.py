"""What is read from Plans and Nodes: selectors, windows, hashes, versions, requests; what makes a Plan invalid."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rke2.kube.objects import Object
from rke2.release_version import ReleaseVersion
from rke2.rollout.channel import ChannelError, newest_in
from rke2.rollout.digest import digest, secret_hash
from rke2.rollout.names import ANSWER, DIGEST, REQUEST
from rke2.rollout.node_request import UpgradeRequest, as_text, read_answer, read_request
from rke2.rollout.plan import DrainSpec, PlanError, read_spec
from rke2.rollout.selectors import LabelRequirement, LabelSelector
from rke2.rollout.validation import problems
from rke2.rollout.versions import hindrance
from rke2.rollout.window import parse_window

UPGRADE = {"image": "rancher/rke2-upgrade"}


def of(**spec: object) -> Object:
    return {"metadata": {"name": "p"}, "spec": {"upgrade": UPGRADE, **spec}}


def wrong(**spec: object) -> str:
    return "; ".join(problems(read_spec(of(**spec)), ["there"]))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"drain": {"deleteEmptydirData": True, "deleteLocalData": True}},
            "spec.drain cannot specify both deleteEmptydirData and deleteLocalData",
        ),
        (
            {"drain": {"podSelector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}}},
            "spec.drain.podSelector is not selectable: 'Is' is not a valid operator of a label selector",
        ),
        ({"drain": {"timeout": "5"}}, "spec.drain.timeout: '5' is not a duration such as 5m0s"),
        ({"window": {"startTime": "25:00"}}, "spec.window is invalid: '25:00' is not a valid time"),
        ({"window": {"timeZone": "Mars"}}, "this host does not know the time zone 'Mars'"),
        ({"postCompleteDelay": "-1s"}, "spec.postCompleteDelay is negative"),
        ({"secrets": [{"name": "gone", "path": "/x"}]}, 'secrets "gone" not found'),
        ({"concurrency": -1}, "spec.concurrency is negative"),
        (
            {"nodeSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
            "operator In on a needs values",
        ),
        ({"upgrade": {"image": "busybox"}}, "spec.upgrade is not an upgrade of RKE2"),
        ({"upgrade": {**UPGRADE, "command": ["sh"]}}, "spec.upgrade is not an upgrade of RKE2"),
        ({"prepare": {**UPGRADE, "args": ["wait"]}}, "spec.prepare.args are not [prepare, PLAN]"),
    ],
)
def test_what_makes_a_plan_invalid(spec: dict[str, object], words: str) -> None:
    assert words in wrong(**spec)


def test_plans_of_the_documentation_are_valid() -> None:
    agents = {"matchExpressions": [{"key": "node-role.numbers.io/control-plane", "operator": "DoesNotExist"}]}
    registry = {"image": "registry.example:5000/rancher/rke2-upgrade:v1.37.2-rke2py1@sha256:12"}
    assert not wrong(
        concurrency=2,
        nodeSelector=agents,
        prepare={"args": ["prepare", "server-plan"], **registry},
        drain={"force": True, "timeout": 300_000_000_000},
        secrets=[{"name": "gone", "path": "/x", "ignoreUpdates": True}, {"name": "there", "path": "/y"}],
        window={
            "days": ["mon", "2", "we"],
            "startTime": "10pm",
            "endTime": "2:00",
            "timeZone": "Europe/Berlin",
        },
    )


def test_a_spec_of_another_type_is_told() -> None:
    with pytest.raises(PlanError, match=r"concurrency"):
        read_spec(of(concurrency="two"))


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [("In", ("1",), "a"), ("NotIn", ("1",), "bc"), ("Exists", (), "ab"), ("DoesNotExist", (), "c")],
)
def test_selectors(operator: str, values: tuple[str, ...], fits: str) -> None:
    nodes = {"a": {"key": "1"}, "b": {"key": "2"}, "c": {}}
    selector = LabelSelector(match_expressions=(LabelRequirement("key", operator, values),))
    assert "".join(name for name, labels in nodes.items() if selector.matches(labels)) == fits
    assert LabelSelector({"key": "1"}).matches({"key": "1", "more": ""})
    assert not LabelSelector({"key": "1"}).matches({})


FRIDAY = datetime(2026, 12, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "is_open"), [(21.99, False), (22, True), (24 + 1, False), (1, True), (2.01, False), (-2, False)]
)
def test_a_window_over_midnight_belongs_to_the_day_of_the_clock(hours: float, is_open: bool) -> None:
    window = parse_window(["fri"], "22:00", "2:00", "")
    assert window.contains(FRIDAY + timedelta(hours=hours)) is is_open


def test_windows_are_in_their_time_zone_and_end_with_their_last_second() -> None:
    window = parse_window((), "8", "17:00", "America/New_York")
    assert window.contains(FRIDAY + timedelta(hours=13))
    assert not window.contains(FRIDAY + timedelta(hours=12, minutes=59))
    assert window.contains(FRIDAY + timedelta(hours=22, seconds=0.9))
    assert not window.contains(FRIDAY + timedelta(hours=22, seconds=1))
    assert parse_window(["0", "su", "sunday"], "", "", "").days == {6}


def test_the_hash_of_a_secret_is_kubectls() -> None:
    def secret(**data: str) -> Object:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        return {"type": "my-type", "data": encoded}

    assert secret_hash(secret()) == "t75bgf6ctb"
    assert secret_hash(secret(one="")) == "74bd68bm66"


def test_what_is_part_of_the_hash() -> None:
    plan = of(version="v1.37.2+rke2py1", serviceAccountName="s")
    spec = read_spec(plan)
    # printf %s v1.37.2-rke2py1s | sha224sum
    assert digest(plan, spec, "v1.37.2-rke2py1", {}) == SHA224
    noted = {
        **plan,
        "metadata": {"name": "p", "annotations": {DIGEST: "spec.concurrency,spec.upgrade.image"}},
    }
    assert digest(noted, spec, "v1.37.2-rke2py1", {}) != SHA224
    guarded = of(secrets=[{"name": "x", "path": "/"}, {"name": "y", "path": "/", "ignoreUpdates": True}])
    hashes = {
        digest(guarded, read_spec(guarded), "v1", {"x": {"data": {"a": x}}, "y": {"data": {"a": y}}})
        for x, y in (("", ""), ("", "YQ=="), ("YQ==", ""))
    }
    assert len(hashes) == 2


SHA224 = "bc7318969a8237d74d69aff0bb8777e95d46eac118113a259d73995f"


def test_requests_that_cannot_be_read_ask_for_nothing() -> None:
    request = UpgradeRequest("v1.37.2+rke2py1", "system-upgrade/p", "h", stage=True, since="now")
    for text, found in (
        (as_text(request), request),
        ("{", None),
        ("[]", None),
        ('{"version": 1}', None),
        ("", None),
    ):
        assert read_request({"metadata": {"annotations": {REQUEST: text}}}) == found
    assert read_answer({"metadata": {"annotations": {ANSWER: "null"}}}) is None


@pytest.mark.parametrize(
    ("node", "target", "allowed"),
    [
        ("v1.36.4", "v1.37.0-rke2py1", True),
        ("v1.36.4+rke2r1", "v1.36.4+rke2py2", True),
        ("v1.36.4", "v1.36.3", False),
        ("v1.36.4", "v1.38.0", False),
        ("v1.37.0", "v1.36.9", False),
    ],
)
def test_which_release_may_follow(node: str, target: str, allowed: bool) -> None:
    before, then = ReleaseVersion.parse(node), ReleaseVersion.parse(target)
    assert before
    assert then
    assert (not hindrance(before, then)) is allowed


def test_a_directory_of_releases_names_the_newest(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="has no directory that is named as a release"):
        newest_in(tmp_path)
    for name in ("v1.36.10+rke2py1", "v1.36.9+rke2py1", "v1.9.0", "latest", "v1.37"):
        (tmp_path / name).mkdir()
    (tmp_path / "v1.38.0").touch()
    assert newest_in(tmp_path) == "v1.36.10+rke2py1"
    with pytest.raises(ChannelError, match="No such file"):
        newest_in(tmp_path / "gone")


def test_how_long_a_drain_is_tried() -> None:
    assert DrainSpec(timeout="5m").patience == timedelta(minutes=5)
    assert DrainSpec(timeout=2_000_000_000).patience == timedelta(seconds=2)
    assert DrainSpec().patience is None
