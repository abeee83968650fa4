"""Prompts to context: nothing, attributes, text, content, and several of these together."""
