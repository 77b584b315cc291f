"""The expositions of several workers as one: counters and histograms are added, gauges as the catalogue says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from pushgw.metrics.catalogue import CATALOGUE, Across
from pushgw.metrics.exposition import text_of

_Key = tuple[str, tuple[tuple[str, str], ...]]
_HOW: dict[Across, Callable[[float, float], float]] = {
    Across.SUM: lambda one, other: one + other,
    Across.MIN: min,
    Across.MAX: max,
}
_ACROSS = {metric.name.removesuffix("_total"): metric.across for metric in CATALOGUE}


def sum_expositions(texts: Sequence[str]) -> str:
    """One exposition for all; a metric that is not in the catalogue is added up. Raises ValueError when one is none."""
    families: dict[str, Family] = {}
    numbers: dict[str, dict[_Key, float]] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            known = families.setdefault(family.name, Family(family.name, family.documentation, family.type))
            known.documentation = known.documentation or family.documentation
            how = _HOW[_ACROSS.get(family.name, Across.SUM)]
            _add(numbers.setdefault(family.name, {}), family, how)
    for name, family in families.items():
        for (sample, labels), number in numbers[name].items():
            family.add_sample(sample, dict(labels), number)
    return text_of(_in_order(families))


def _add(into: dict[_Key, float], family: Family, how: Callable[[float, float], float]) -> None:
    for sample in family.samples:
        key = (sample.name, tuple(sample.labels.items()))
        into[key] = how(into[key], sample.value) if key in into else sample.value


def _in_order(families: dict[str, Family]) -> Iterable[Family]:
    """As in the catalogue, whatever worker was the first to know a metric."""
    place = {name: n for n, name in enumerate(_ACROSS)}
    return sorted(families.values(), key=lambda family: place.get(family.name, len(place)))
