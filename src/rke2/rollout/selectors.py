"""Label selectors as Kubernetes reads them (metav1.LabelSelector)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

Labels = Mapping[str, str]

_OPERATORS: Mapping[str, Callable[[Labels, str, Sequence[str]], bool]] = {
    "In": lambda labels, key, values: labels.get(key) in values,
    # A key that is not there has none of the values.
    "NotIn": lambda labels, key, values: labels.get(key) not in values,
    "Exists": lambda labels, key, values: key in labels,
    "DoesNotExist": lambda labels, key, values: key not in labels,
}
_WITH_VALUES = ("In", "NotIn")


class LabelRequirement(msgspec.Struct, frozen=True):
    """One of ``matchExpressions``."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class LabelSelector(msgspec.Struct, frozen=True, rename="camel"):
    """All of it must fit; an empty one fits everything."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelRequirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether something with `labels` is selected; `problem` must be empty."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            _OPERATORS[each.operator](labels, each.key, each.values) for each in self.match_expressions
        )

    @property
    def problem(self) -> str:
        """Why Kubernetes would refuse it; empty if it would not."""
        for each in self.match_expressions:
            if each.operator not in _OPERATORS:
                return f"{each.operator!r} is not a valid operator of a label selector"
            if bool(each.values) is not (each.operator in _WITH_VALUES):
                needs = "values" if each.operator in _WITH_VALUES else "no values"
                return f"operator {each.operator} on {each.key} needs {needs}"
        return ""
