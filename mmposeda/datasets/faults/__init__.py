"""What is missing or wrong in the data of a run: one concern a file, each check a function that gives findings."""

from .dataset import DatasetCheck, check_dataset
from .findings import ERROR, WARNING, Finding, error, warning

__all__ = ['ERROR', 'WARNING', 'DatasetCheck', 'Finding', 'check_dataset', 'error', 'warning']
