"""Kinds of content."""
