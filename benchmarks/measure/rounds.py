"""Measures contestants in turns, so that other load on the machine affects all of them equally."""

import statistics
import time
from collections.abc import Callable, Mapping

from .peers import Ended


def speeds(
    contestants: Mapping[str, Callable[[], object]], units: int, rounds: int, turns: int
) -> dict[str, list[float]]:
    """Units per second of each contestant in each round. A call processes `units`; a round has `turns` calls each,
    after one round to warm up; the order rotates each round. A peer that ends is omitted, with a message."""
    names, found = list(contestants), {name: [] for name in contestants}
    for turn in range(-1, rounds):
        for place in range(len(names)):
            name = names[(place + turn) % len(names)]
            if name not in found:
                continue
            began = time.perf_counter()
            try:
                for _ in range(turns):
                    contestants[name]()
            except Ended as error:
                print(f"{name} ended ({error}): nothing is compared with it.")
                del found[name]
                continue
            if turn >= 0:
                found[name].append(turns * units / (time.perf_counter() - began))
    return found


def ratio(found: Mapping[str, list[float]], first: str, second: str) -> float:
    """The speed of `first` relative to `second`: the median of the ratios in each round."""
    return statistics.median(a / b for a, b in zip(found[first], found[second], strict=True))
