"""Training: the loop, its optimisers, how long it lasts, what it costs."""

from .loop import Settings, Step, fit
from .validation import Batches, validate

__all__ = ["Batches", "Settings", "Step", "fit", "validate"]
