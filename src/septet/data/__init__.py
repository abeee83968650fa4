"""What a person brings: folders, captions, splits, duplicates, batches."""
