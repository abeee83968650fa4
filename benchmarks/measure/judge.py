"""The classifier of generated digits, and the features of its last layer. It is trained on real training digits only.

Shapes: B batch, n pictures, F = 128 features.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from septet.storage import whole

BATCH, SHIFT, RATE = 128, 2, 3e-3


class Judge(nn.Module):
    """uint8 (B, 28, 28) to logits of ten digits; `features` is the layer before them."""

    def __init__(self):
        super().__init__()
        layers, entering = [], 1
        for width in (32, 64, 96):
            layers += [nn.Conv2d(entering, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            layers += [nn.MaxPool2d(2)]
            entering = width
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 9, 128), nn.ReLU())
        self.leave = nn.Linear(128, 10)

    def features(self, digits_BHW: Tensor) -> Tensor:
        return self.body(digits_BHW[:, None].float() / 255)

    def forward(self, digits_BHW: Tensor) -> Tensor:
        return self.leave(self.features(digits_BHW))

    @torch.no_grad()
    def looked_at(self, digits_nHW: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) predicted digits and (n, F) features."""
        features = torch.cat([self.eval().features(part) for part in digits_nHW.split(500)])
        return self.leave(features).argmax(1), features


def trained(digits_nHW: Tensor, labels_n: Tensor, seed: int, epochs: int) -> Judge:
    """A judge trained on these digits; loaded from the temporary folder if an earlier run trained it."""
    name = hashlib.sha256(digits_nHW.numpy().tobytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"septet-benchmarks-{os.getuid()}"
    path, judge = folder / f"judge-{name}-{seed}-{epochs}.safetensors", Judge()
    if path.exists():
        judge.load_state_dict(safetensors.torch.load_file(path))
        return judge.eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = _fitted(Judge(), digits_nHW, labels_n, epochs)
    folder.mkdir(exist_ok=True)
    whole.write(path, safetensors.torch.save(judge.state_dict()))
    return judge


def _fitted(judge: Judge, digits_nHW: Tensor, labels_n: Tensor, epochs: int) -> Judge:
    """Trains by AdamW with one-cycle learning rate (Smith & Topin 2019), digits shifted by up to two pixels."""
    steps = max(1, len(digits_nHW) // BATCH)
    optimiser = torch.optim.AdamW(judge.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, epochs * steps)
    for _ in range(epochs):
        order = torch.randperm(len(digits_nHW))
        for index in order[: steps * BATCH].split(BATCH):
            down, across = torch.randint(-SHIFT, SHIFT + 1, (2,)).tolist()
            loss = F.cross_entropy(judge(digits_nHW[index].roll((down, across), (1, 2))), labels_n[index])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return judge.eval()
