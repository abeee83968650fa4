"""Networks from (B, N, D) to (B, N, D)."""
