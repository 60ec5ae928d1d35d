from pathlib import Path
from typing import Any

import pytest

from rke2.config.model import ComponentSettings, ProbeSettings
from rke2.staticpods.manifest import PROBES, build, probe
from rke2.staticpods.pod import ExecCheck, HTTPCheck, StaticPod

PATH = Path("/pods/etcd.yaml")


def pod(settings: ComponentSettings | None = None, **fields: Any) -> StaticPod:
    values = {"name": "etcd", "image": "i", "args": ("--a=b",), "ports": {}, **fields}
    return StaticPod(settings=settings or ComponentSettings(), **values)


def container(built: dict[str, Any]) -> dict[str, Any]:
    only: dict[str, Any] = built["spec"]["containers"][0]
    return only


def uid(
    spec: StaticPod, file_hash: str = "h", environ: dict[str, str] | None = None, path: Path = PATH
) -> str:
    return str(build(spec, (), file_hash, environ or {}, path)["metadata"]["uid"])


def test_uid_is_the_same_for_the_same_inputs() -> None:
    assert uid(pod()) == uid(pod())
    assert uid(pod(), environ={"A_PROXY": "1", "B_PROXY": "2"}) == uid(
        pod(), environ={"B_PROXY": "2", "A_PROXY": "1", "OTHER": "3"}
    )


def test_uid_follows_everything_that_matters() -> None:
    variants = [
        uid(pod()),
        uid(pod(image="j")),
        uid(pod(args=("--a=c",))),
        uid(pod(), file_hash="other content"),
        uid(pod(), environ={"no_proxy": "x"}),
        uid(pod(), path=Path("/pods/other.yaml")),
        uid(pod(ComponentSettings(limits={"cpu": "1"}))),
    ]
    assert len(set(variants)) == len(variants)


def test_environment_is_hash_then_proxies_then_extra() -> None:
    spec = pod(ComponentSettings(extra_env=("GODEBUG=x=1", "broken")))
    env = container(build(spec, (), "h", {"https_proxy": "p", "PATH": "/bin", "NO_PROXY": "n"}, PATH))["env"]
    assert [(item["name"], item["value"]) for item in env] == [
        ("FILE_HASH", "h"),
        ("NO_PROXY", "n"),
        ("https_proxy", "p"),
        ("GODEBUG", "x=1"),
    ]


def test_requests_are_overridden_one_by_one_and_limits_absent_by_default() -> None:
    assert container(build(pod(), (), "h", {}, PATH))["resources"] == {
        "requests": {"cpu": "200m", "memory": "512Mi"}
    }
    settings = ComponentSettings(requests={"cpu": "1"}, limits={"memory": "4Gi"})
    assert container(build(pod(settings), (), "h", {}, PATH))["resources"] == {
        "requests": {"cpu": "1", "memory": "512Mi"},
        "limits": {"memory": "4Gi"},
    }


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [("startup", (10, 15, 24, 10)), ("liveness", (10, 15, 8, 10)), ("readiness", (0, 15, 3, 1))],
)
def test_probe_numbers_of_the_reference(kind: str, numbers: tuple[int, ...]) -> None:
    made = probe(HTTPCheck(1), PROBES[kind], ProbeSettings())
    keys = ("initialDelaySeconds", "timeoutSeconds", "failureThreshold", "periodSeconds")
    assert tuple(made.get(key, 0) for key in keys) == numbers


def test_zero_overrides_a_probe_number() -> None:
    assert "initialDelaySeconds" not in probe(
        HTTPCheck(1), PROBES["liveness"], ProbeSettings(initial_delay_seconds=0)
    )


def test_exec_probe_runs_at_most_every_five_seconds() -> None:
    made = probe(ExecCheck(("true",)), PROBES["readiness"], ProbeSettings(period_seconds=2))
    assert made["periodSeconds"] == 5
    assert (
        probe(ExecCheck(("true",)), PROBES["readiness"], ProbeSettings(period_seconds=30))["periodSeconds"]
        == 30
    )


def test_security_context_only_when_asked_for() -> None:
    assert "securityContext" not in build(pod(), (), "h", {}, PATH)["spec"]
    asked = build(pod(run_as=(52, 53), selinux_type="t"), (), "h", {}, PATH)["spec"]["securityContext"]
    assert asked == {"runAsUser": 52, "runAsGroup": 53, "seLinuxOptions": {"type": "t"}}
