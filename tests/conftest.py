"""One torch thread and one hypothesis profile for every test; set before torch loads, and handed to child processes."""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "10000")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("septet", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("septet")
