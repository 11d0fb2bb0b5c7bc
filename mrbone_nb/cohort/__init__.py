"""The same recipe over many scans: checked before, each in a process of its own, resumed after an interruption."""

from .batch import CohortFaults, batch
from .look import Look
from .result import CohortResult
from .table import CohortTable, Fault, Row, read_cohort

__all__ = ["CohortFaults", "CohortResult", "CohortTable", "Fault", "Look", "Row", "batch", "read_cohort"]
