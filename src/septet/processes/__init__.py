"""How latents are drawn."""
