"""Numbers for Prometheus: one table of metrics, read off a gateway when it is scraped."""

from pushgw.metrics.catalogue import CATALOGUE, Across, Kind, Metric
from pushgw.metrics.exposition import CONTENT_TYPE, exposition
from pushgw.metrics.sums import sum_expositions

__all__ = ["CATALOGUE", "CONTENT_TYPE", "Across", "Kind", "Metric", "exposition", "sum_expositions"]
