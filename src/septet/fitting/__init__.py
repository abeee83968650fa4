"""Training: the loop, its optimisers, how long it lasts, what it costs."""

from .loop import Batches, Settings, Step, fit, validate

__all__ = ["Batches", "Settings", "Step", "fit", "validate"]
