"""Whether outputs are new, or closer to training items than held-out data are."""
