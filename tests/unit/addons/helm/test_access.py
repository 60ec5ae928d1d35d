"""What is kept of a job that ended, and whose a binding is."""

from __future__ import annotations

from typing import Any

from rke2.addons.helm.access import last_words
from rke2.addons.helm.model import Chart, ChartSpec
from rke2.addons.helm.names import role_binding_name
from rke2.addons.helm.report import failed_status, kept_words, repeating_status

CHART = Chart("demo", "ns", ChartSpec(chart="demo"))


def pod(created: str, message: str, code: int = 1) -> dict[str, Any]:
    state = {"state": {"terminated": {"exitCode": code, "message": message}}}
    return {"metadata": {"creationTimestamp": created}, "status": {"containerStatuses": [state]}}


def test_the_words_of_the_newest_pod_that_failed_are_kept() -> None:
    pods = [
        pod("2026-01-01T00:00:02Z", "helm-job: new:\n\t* reason\n"),
        pod("2026-01-01T00:00:01Z", "helm-job: old\n"),
        pod("2026-01-01T00:00:03Z", "helm-job: done\n", 0),
    ]
    assert last_words(pods) == "new: * reason"
    assert last_words([]) == ""


def test_the_status_keeps_what_helm_said() -> None:
    for status in (failed_status(CHART, "no: such. chart"), repeating_status(CHART, None, "no: such. chart")):
        assert kept_words({"status": status}) == "no: such. chart"
    assert kept_words({"status": failed_status(CHART)}) == ""
    assert kept_words({}) == ""


def test_no_two_charts_have_one_binding() -> None:
    assert role_binding_name("a-b", "c") != role_binding_name("a", "b-c")
