"""Codecs encode data to latents and decode them."""
