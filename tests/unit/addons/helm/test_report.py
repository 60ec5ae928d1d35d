from __future__ import annotations

from typing import Any

import pytest

from rke2.addons.helm.model import Chart, ChartSpec
from rke2.addons.helm.report import applying_status, failed_status, source_of, switched


def chart(url: str = "", **spec: Any) -> Chart:
    return Chart("demo", "ns", ChartSpec(**spec), content_url=url)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (chart(chart_content="x"), "inline spec.chartContent"),
        (chart("https://u", chart_content="x"), "inline spec.chartContent from https://u"),
        (chart(chart="oci://r/c", version="1"), "version 1 from OCI registry oci://r/c"),
        (chart(chart="oci://r/c"), "latest stable version from OCI registry oci://r/c"),
        (chart(chart="https://h/c.tgz"), "https://h/c.tgz"),
        (chart(chart="c", repo="https://r", version="1"), "c version 1 from chart repository https://r"),
        (chart(chart="c", repo="https://r"), "latest stable version of c from chart repository https://r"),
    ],
)
def test_sources(made: Chart, text: str) -> None:
    assert source_of(made) == text


def test_conditions() -> None:
    applying = applying_status(chart())
    assert applying["jobName"] == "helm-install-demo"
    assert [(c["type"], c["status"]) for c in applying["conditions"]] == [
        ("JobCreated", "True"),
        ("Failed", "False"),
    ]
    failed = failed_status(chart())["conditions"][1]
    assert (failed["status"], failed["reason"]) == ("True", "Job failed")
    assert failed["message"] == "Job has reached configured number of retries without succeeding"


def test_events_of_a_switched_job_have_upstreams_text() -> None:
    assert switched("ns/job", suspended=True) == ("SuspendJob", "Suspended Job ns/job for delete")
    assert switched("ns/job", suspended=False) == ("ResumeJob", "Resumed synced Job ns/job")
