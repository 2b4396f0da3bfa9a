"""Prometheus' text format, version 0.0.4: families of samples as text, and nothing else.

Source: prometheus.io/docs/instrumenting/exposition_formats. Names of metrics and labels are ours
and are taken to be right; values of labels may hold anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import attrs

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", '"': '\\"'})

Labels = tuple[tuple[str, str], ...]


@attrs.frozen
class Sample:
    """One value; `suffix` is what histograms put behind the name of the family."""

    value: float
    labels: Labels = ()
    suffix: str = ""


@attrs.frozen
class Family:
    """All values of one metric; `kind` is gauge, counter or histogram."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def histogram(
    classes: Iterable[tuple[float, int]], seconds: float, labels: Labels
) -> Iterable[Sample]:
    """The samples of one histogram: (bound, how many up to it), the last bound infinite."""
    count = 0
    for bound, count in classes:
        yield Sample(count, (*labels, ("le", _number(bound))), "_bucket")
    yield Sample(seconds, labels, "_sum")
    yield Sample(count, labels, "_count")


def render(families: Iterable[Family]) -> bytes:
    """The text of a whole answer; a family without samples is left out."""
    lines: list[str] = []
    for family in families:
        if family.samples:
            lines += _lines(family)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _lines(family: Family) -> Iterable[str]:
    text = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {family.name} {text}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        labels = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sample.labels)
        braces = f"{{{labels}}}" if labels else ""
        yield f"{family.name}{sample.suffix}{braces} {_number(sample.value)}"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    # Why: whole numbers beyond 2**53 must not lose digits, and need no point.
    return str(int(value)) if value == int(value) else repr(value)
