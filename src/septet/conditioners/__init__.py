"""Conditioners encode prompts to context: nothing, attributes, text, content, and compositions of these."""
