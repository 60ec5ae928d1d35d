"""Why helm failed or does not even begin: what a job's pod says, as an event on its HelmChart.

Upstream only tells when a job has used up its retries, a thousand of them unless the chart says otherwise, and
then not why; of a pod that stays pending it tells nothing. The reason is in the pod.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rke2.addons.helm.names import CHART_LABEL
from rke2.addons.helm.placement import is_unschedulable
from rke2.addons.helm.termination import last_failure, told, told_in_a_line
from rke2.causes.pods import Seen, Why, why
from rke2.kube.events import EventRecorder
from rke2.kube.informer import Change
from rke2.kube.objects import Key, Object, key_of, labels_of, metadata
from rke2.kube.timestamps import seconds_since

PATIENCE_SECONDS = 30.0
"""A pod this old without a node is told of."""


class FailureTeller:
    """Turns the failures of job pods into events.

    Args:
        charts: the HelmCharts there are (a local copy).
    """

    def __init__(self, charts: Mapping[Key, Object], events: EventRecorder) -> None:
        self._charts, self._events = charts, events
        self._said: dict[Key, str] = {}
        self._held: dict[Key, str] = {}

    def pod_changed(self, change: Change) -> None:
        """Look at a pod with the label of a chart."""
        if change.new and not is_unschedulable(change.new):
            self._pending(change.new, why(Seen(change.new)))
        failure = last_failure(change.new) if change.new else None
        if failure is None or failure == last_failure(change.old or {}):
            return
        key = Key(change.key.namespace, labels_of(change.latest)[CHART_LABEL])
        chart = self._charts.get(key)
        if chart is not None:
            self._said[key] = told_in_a_line(failure)
            self._events.emit(chart, "Warning", "HelmFailed", f"Pod {key_of(change.latest)}: {told(failure)}")

    def without_node(self, pod: Object, nodes: Sequence[Object]) -> None:
        """Tell of a pod for which there is no node, although it tolerates what operators gave the control plane's.

        Called again and again while it waits. A cluster that boots has no node that is ready either, for a moment.
        """
        if seconds_since(str(metadata(pod).get("creationTimestamp"))) >= PATIENCE_SECONDS:
            self._pending(pod, why(Seen(pod, nodes=nodes)))

    def _pending(self, pod: Object, cause: Why) -> None:
        """Tell once what keeps helm from beginning."""
        key = Key(key_of(pod).namespace, labels_of(pod)[CHART_LABEL])
        chart, begun = self._charts.get(key), (pod.get("status") or {}).get("phase") != "Pending"
        if begun or chart is None or cause.passing or cause.words in ("", self._held.get(key)):
            return
        self._held[key] = cause.words
        self._events.emit(chart, "Warning", "HelmPending", f"Pod {key_of(pod)}: {cause.words}")

    def said(self, chart: Key) -> str:
        """What helm said last; the pod may be gone, as with a job that has used up its retries."""
        return self._said.get(chart, "")

    def forget(self, chart: Key) -> None:
        """A new job begins, or the chart is gone."""
        self._said.pop(chart, None)
        self._held.pop(chart, None)
