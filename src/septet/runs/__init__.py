"""A training run from a person's files to a saved model: stages, checkpoints, previews, resuming."""

from .run import Run, run_folder, seconds_of, train, training
from .stages import Progress

__all__ = ["Progress", "Run", "run_folder", "seconds_of", "train", "training"]
