"""Training: the loop, optimisers, budgets, network sizes that fit them, and costs."""

from .loop import Step, fit
from .settings import Settings
from .validation import Batches, validate

__all__ = ["Batches", "Settings", "Step", "fit", "validate"]
