"""Neural networks from (B, N, D) to (B, N, D), and their building blocks."""
