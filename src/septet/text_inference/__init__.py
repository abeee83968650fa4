"""What language models do besides continuing a text: conversation, constrained generation, embeddings."""
