"""Shared by the benchmarks. Import before torch, because OpenMP reads its settings once."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line does: threads that spin long starve their likes
