"""The picture of a boot is well-formed, and has a row for each bar."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec

from rke2.status.timeline.bars import Timeline, TimelineBar
from rke2.status.timeline.boot import of_process
from rke2.status.timeline.cluster import ClusterFacts
from rke2.status.timeline.critical import with_critical
from tests.bench.picture import CRITICAL, svg
from tests.unit.status.timeline import facts

_SVG = "{http://www.w3.org/2000/svg}"


def picture(timeline: Timeline) -> ElementTree.Element:
    return ElementTree.fromstring(svg(timeline))


def test_each_bar_has_a_row_and_the_critical_path_is_framed() -> None:
    bars = with_critical(
        [*of_process(facts.process()), *ClusterFacts(facts.STARTED, facts.node(), facts.pods(), []).bars()]
    )
    drawn = picture(Timeline("server", facts.NODE, facts.STARTED, 12.0, bars, True))
    framed = [each for each in drawn.iter(f"{_SVG}rect") if each.get("stroke") == CRITICAL]
    rows = [each for each in drawn.iter(f"{_SVG}rect") if each.find(f"{_SVG}title") is not None]
    assert len(rows) == len([bar for bar in bars if bar.kind != "service"])
    assert len(framed) == len([bar for bar in bars if bar.critical])


def test_names_are_escaped_and_what_goes_on_reaches_the_end() -> None:
    bars = (TimelineBar("phase", "a<b>&c", 1.0), TimelineBar("phase", "done", 0.0, 4.0))
    drawn = picture(Timeline("agent", "", 0.0, None, bars, False))
    first, second = (each for each in drawn.iter(f"{_SVG}rect") if each.find(f"{_SVG}title") is not None)
    end = float(second.get("x", "")) + float(second.get("width", ""))
    assert float(first.get("x", "")) + float(first.get("width", "")) == end


def test_a_boot_of_nothing_is_a_picture() -> None:
    picture(msgspec.convert(msgspec.to_builtins(Timeline("server", "", 0.0, None, (), False)), Timeline))
