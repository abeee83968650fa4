"""Generative processes: training losses and samplers of latents."""
