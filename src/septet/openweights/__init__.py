"""Language models that others trained and published: Llama- and Qwen-family checkpoints as septet's own transformer."""
