"""Contestants that take turns, so that whatever else the machine does slows all of them alike."""

import statistics
import time
from collections.abc import Callable, Mapping

from .peers import Ended


def speeds(
    contestants: Mapping[str, Callable[[], object]], units: int, rounds: int, turns: int
) -> dict[str, list[float]]:
    """Units a second of each contestant in each round; it does `units` a call, and `turns` calls a round after one
    round that does not count. The order moves on by one each round. A peer that ends is left out, and told of."""
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
    """How many times as fast the first is: the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(found[first], found[second], strict=True))
