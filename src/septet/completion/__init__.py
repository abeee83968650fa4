"""Code completed at a cursor, by a model and by what a project says already."""

from .completer import FLOOR, Completer
from .drawing import Completion
from .index import Index

__all__ = ["FLOOR", "Completer", "Completion", "Index"]
