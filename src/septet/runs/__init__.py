"""A training run, from files to a saved model: stages, checkpoints, previews, resuming."""

from ..fitting.pace import seconds_of
from .run import Run, run_folder, train, training
from .stages import Progress

__all__ = ["Progress", "Run", "run_folder", "seconds_of", "train", "training"]
