"""The command line of all scripts that train a starter."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from publish import publish

from septet import models, recipes, runs
from septet.recipes import Plan
from septet.space import Refusal


@dataclass(frozen=True)
class Starter:
    """A starter to train: its name, the recipes that were tried for it by name, its data and how to build them, and by
    recipe the facts for its card and its sampling settings."""

    name: str
    kinds: dict[str, Callable[..., Plan]]
    data: Path
    build: Callable[[Path], Any]
    facts: dict[str, dict[str, Any]]
    settings: dict[str, dict[str, Any]]

    def main(self, description: str | None) -> None:
        """Trains, resumes or publishes, as the command line says."""
        try:
            self._train(description)
        except Refusal as refusal:
            print(refusal, file=sys.stderr)
            raise SystemExit(2) from None

    def _train(self, description: str | None) -> None:
        options = self._options(description)
        if not options.data.exists():
            self.build(options.data)
        kind = options.process
        recipe, folder = self.kinds[kind], self.name if len(self.kinds) == 1 else f"{self.name}-{kind}"
        work = options.work or options.data.parent / "models" / folder
        chosen = recipes.parsed(recipe, options.words) | {"steps": options.steps, "resume": options.resume}
        chosen["keep_evidence"] = False  # evidence is not published
        budget = None if options.resume or options.steps else options.budget
        start = models.load(options.start) if options.start else None
        for progress in runs.training(options.data, recipe, work, budget, seed=options.seed, start=start, **chosen):
            if progress.message or (progress.step and progress.step.validation is not None):
                step = progress.step
                figures = (
                    f"step {step.step} loss {step.losses['loss']:.4f} validation {step.validation}" if step else ""
                )
                print(f"{progress.share:.1%} {progress.stage} {figures} {progress.message or ''}", flush=True)
        if options.publish:
            first = models.resolve(options.start) if options.start else None
            publish(work, self.name, self.facts[kind], self.settings[kind], first)

    def _options(self, description: str | None) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("words", nargs="*", metavar="OPTION=VALUE", help="options of the recipe")
        parser.add_argument("--process", choices=self.kinds, default=next(iter(self.kinds)))
        parser.add_argument("--data", type=Path, default=self.data, help="built there if it does not exist")
        parser.add_argument("--work", type=Path, help="the folder to train in; default: beside the data")
        parser.add_argument("--budget", default="3h")
        parser.add_argument("--steps", type=int, help="overrides the budget")
        parser.add_argument("--start", metavar="REF", help="a model trained by this script, to skip the first stage")
        parser.add_argument("--seed", type=int, help="default: 0")
        parser.add_argument("--resume", action="store_true")
        parser.add_argument("--publish", action="store_true", help="publish the model as the starter in the package")
        return parser.parse_args()
