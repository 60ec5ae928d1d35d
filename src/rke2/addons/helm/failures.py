"""Why helm failed: what a job's container said last, as an event on its HelmChart.

Upstream only tells when a job has used up its retries, a thousand of them unless the chart says otherwise, and
then not why. The reason is in the pod.
"""

from __future__ import annotations

from collections.abc import Mapping

from rke2.addons.helm.names import CHART_LABEL
from rke2.addons.helm.termination import last_failure, told, told_in_a_line
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Change
from rke2.kube.objects import Key, Object, key_of, labels_of


class FailureTeller:
    """Turns the failures of job pods into events.

    Args:
        charts: the HelmCharts there are (a local copy).
    """

    def __init__(self, charts: Mapping[Key, Object], events: EventRecorder) -> None:
        self._charts, self._events = charts, events
        self._said: dict[Key, str] = {}

    def pod_changed(self, change: Change) -> None:
        """Look at a pod with the label of a chart."""
        failure = last_failure(change.new) if change.new else None
        if failure is None or failure == last_failure(change.old or {}):
            return
        key = Key(change.key.namespace, labels_of(change.latest)[CHART_LABEL])
        chart = self._charts.get(key)
        if chart is not None:
            self._said[key] = told_in_a_line(failure)
            self._events.emit(chart, "Warning", "HelmFailed", f"Pod {key_of(change.latest)}: {told(failure)}")

    def said(self, chart: Key) -> str:
        """What helm said last; the pod may be gone, as with a job that has used up its retries."""
        return self._said.get(chart, "")

    def forget(self, chart: Key) -> None:
        """A new job begins, or the chart is gone."""
        self._said.pop(chart, None)
