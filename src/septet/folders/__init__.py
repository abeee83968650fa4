"""Files and model folders: written whole, described, checked, found, fetched."""
