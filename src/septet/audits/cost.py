"""Section of the audit page: the cost of training and of an output."""

from typing import Any

from ..fitting.flops import counted
from ..fitting.pace import WATTS_A_THREAD
from .audited import Audited
from .page import Section

GRAMS_A_KWH = 480  # of CO2 equivalents, world mean of 2023 (Ember, Global Electricity Review 2024)


def view(audited: Audited) -> Section:
    """Measured time and memory, counted operations, and estimates of energy and carbon."""
    training, output = _training(audited.run), of_output(audited) if audited.outputs else None
    sentences = [_told(training)] if training else ["The cost of training was not recorded."]
    if output:
        sentences.append(
            f"An output takes {output['seconds']:.3g} s and {_flop(output['flop'])}; {_energy(output['watt_hours'])}."
        )
    sentences.append(
        "Operations are matrix products and convolutions, counted on a few batches, without the optimiser's. Energy "
        f"and carbon are estimates: {WATTS_A_THREAD} W per busy thread, {GRAMS_A_KWH} g of CO2 per kWh (world mean)."
    )
    return Section("cost", "Cost", sentences, figures={"training": training, "output": output})


def _training(run: dict[str, Any]) -> dict[str, Any] | None:
    try:
        seconds, threads = float(run["seconds"]), int(run.get("threads", 1))
        stages = run["stages"].values()
        flops = [stage.get("flop") for stage in stages]
        flop = None if None in flops else sum(map(int, flops))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    found = {"seconds": seconds, "threads": threads, "flop": flop, "peak_memory_bytes": run.get("peak_memory_bytes")}
    return found | _estimates(seconds * threads)


def of_output(audited: Audited) -> dict[str, Any]:
    """Median seconds, threads, operations and estimates of one output."""
    record = audited.outputs[0].record
    seconds = sorted(o.record["seconds"] or 0.0 for o in audited.outputs)[len(audited.outputs) // 2]
    flop = counted(lambda: audited.model.generate(audited.outputs[0].prompt, seed=record["seed"], **audited.settings))
    threads = record["settings"]["threads"]
    return {"seconds": seconds, "threads": threads, "flop": flop} | _estimates(seconds * threads)


def _estimates(thread_seconds: float) -> dict[str, float]:
    watt_hours = thread_seconds * WATTS_A_THREAD / 3600
    return {"watt_hours": watt_hours, "grams_of_co2": watt_hours / 1000 * GRAMS_A_KWH}


def _told(training: dict[str, Any]) -> str:
    memory = training["peak_memory_bytes"]
    parts = [f"{training['seconds']:,.0f} s on {training['threads']} threads"]
    parts += [f"{memory / 1e9:.1f} GB of memory at most"] if memory else []
    parts += [_flop(training["flop"])] if training["flop"] is not None else []
    return f"Training took {', '.join(parts)}; {_energy(training['watt_hours'])}."


def _flop(count: int) -> str:
    for power, name in ((15, "peta"), (12, "tera"), (9, "giga"), (6, "mega")):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {name}FLOP"
    return f"{count:,} FLOP"


def _energy(watt_hours: float) -> str:
    return f"about {watt_hours:.2g} Wh and {watt_hours / 1000 * GRAMS_A_KWH:.2g} g of CO2 (estimated)"
