"""A recipe whose package is not installed."""

import nowhere_to_be_had  # noqa: F401  # pyright: ignore[reportMissingImports]
