"""What can be done with language models besides going on from a text: conversation, constrained texts, embeddings."""
