"""The same recipe over many scans: checked before, each in a process of its own, resumed after an interruption."""

from .batch import CohortResult, batch
from .table import CohortTable, Row, read_cohort

__all__ = ["CohortResult", "CohortTable", "Row", "batch", "read_cohort"]
