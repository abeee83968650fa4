"""Training: the loop, its optimisers, how long it lasts, what it costs."""

from .loop import Step, fit
from .settings import Settings
from .validation import Batches, validate

__all__ = ["Batches", "Settings", "Step", "fit", "validate"]
