"""Code completion at a cursor, with a language model and an index of the project's own files."""

from .completer import FLOOR, Completer
from .drawing import Completion
from .index import Index

__all__ = ["FLOOR", "Completer", "Completion", "Index"]
