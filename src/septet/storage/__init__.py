"""Files and model folders: atomic writes, model cards, checks, references, downloads."""
