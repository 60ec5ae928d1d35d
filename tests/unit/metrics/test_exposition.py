"""What is written is what Prometheus' own parser reads."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from rke2.metrics import process
from rke2.metrics.counting import Histogram, exponential
from rke2.metrics.exposition import text
from rke2.metrics.families import Family, Sample, counter, gauge, labelled


def read(families: list[Family]) -> dict[str, list[tuple[str, dict[str, str], float]]]:
    """Samples by family, as the parser understands them."""
    parsed = text_string_to_metric_families(text(families))
    return {each.name: [(s.name, s.labels, s.value) for s in each.samples] for each in parsed}


@given(
    st.dictionaries(st.text().filter(lambda t: "\r" not in t), st.floats(allow_nan=False), max_size=5),
    st.text(st.characters(exclude_characters="\r")),
)
def test_any_label_and_value_comes_through(values: dict[str, float], help: str) -> None:
    family = gauge("some_figure", help or "x", {labelled(of=name): value for name, value in values.items()})
    found = read([family]).get("some_figure", [])
    assert {labels["of"]: value for _, labels, value in found} == values


def test_values_that_are_no_numbers() -> None:
    samples = tuple(Sample(value, labelled(of=str(value))) for value in (math.inf, -math.inf, math.nan, 3))
    values = [value for _, _, value in read([Family("some_figure", "gauge", "x", samples)])["some_figure"]]
    assert values[0] == math.inf and values[1] == -math.inf and math.isnan(values[2]) and values[3] == 3


def test_a_family_stands_there_once_however_many_have_a_part_of_it() -> None:
    parts = [gauge("some_figure", "x", {labelled(of=name): 1}) for name in ("a", "b")]
    assert text(parts).count("# TYPE some_figure") == 1
    assert len(read(parts)["some_figure"]) == 2


def test_a_histogram_counts_below_each_bound() -> None:
    histogram = Histogram("waited_seconds", "x", exponential(0.001, 2, 15))
    for seconds in (0.0005, 0.002, 0.003, 20.0):
        histogram.observe(seconds, name="a", status="success")
    found = read([histogram.family()])["waited_seconds"]
    buckets = {labels["le"]: value for name, labels, value in found if name == "waited_seconds_bucket"}
    assert len(buckets) == 16
    assert buckets["0.001"] == 1 and buckets["0.002"] == 2 and buckets["0.004"] == 3
    assert buckets["16.384"] == 3 and buckets["+Inf"] == 4
    others = {name: value for name, _, value in found if not name.endswith("_bucket")}
    assert others == {"waited_seconds_sum": pytest.approx(20.0055), "waited_seconds_count": 4}


def test_what_failed_is_counted_as_that() -> None:
    histogram = Histogram("took_seconds", "x", (1.0,))
    with histogram.timed():
        pass
    with histogram.timed() as outcome:
        outcome.failed = True
    with pytest.raises(ValueError), histogram.timed():
        raise ValueError
    found = read([histogram.family()])["took_seconds"]
    counts = {labels["status"]: value for name, labels, value in found if name.endswith("_count")}
    assert counts == {"success": 1, "failure": 2}


def test_the_first_failure_is_growth() -> None:
    histogram = Histogram("took_seconds", "x", (1.0,), [labelled(status="failure")])
    assert read([histogram.family()])["took_seconds"][-1] == ("took_seconds_count", {"status": "failure"}, 0)
    histogram.observe(0.5, status="failure")
    assert read([histogram.family()])["took_seconds"][-1] == ("took_seconds_count", {"status": "failure"}, 1)


def test_the_process_is_this_one() -> None:
    found = {name: samples[0][2] for name, samples in read(list(process.families())).items()}
    assert 1 << 20 < found["process_resident_memory_bytes"] < found["process_virtual_memory_bytes"]
    assert 3 <= found["process_open_fds"] <= found["process_max_fds"]
    assert found["process_cpu_seconds"] > 0


def test_a_counter_that_upstream_named_without_total_keeps_its_name() -> None:
    assert "\nsession_server 3\n" in text([counter("session_server", "x", 3)])
