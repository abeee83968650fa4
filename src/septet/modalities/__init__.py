"""Modalities: kinds of content, and how they are read, written, shown and compared."""
