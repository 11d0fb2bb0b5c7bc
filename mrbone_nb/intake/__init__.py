"""What is in this folder, and reading it right: series inventory, DICOM and other formats, warnings."""

from .issues import Issue
from .listing import Inventory, inventory
from .reading import read, read_all
from .rows import Row
from .slices import Slice, SliceSet

__all__ = ["Inventory", "Issue", "Row", "Slice", "SliceSet", "inventory", "read", "read_all"]
