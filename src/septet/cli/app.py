"""The commands and their options."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from .. import ranks
from . import exporting, serving
from .terminal import tell

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train on your own files, generate new content, audit what was learned and made.",
)
MODEL_FILES = ("manifest.json", "config.json", "model.safetensors")  # a folder with any of these is meant as a model
Model = Annotated[str | None, typer.Option(help="A starter's name, a model folder, or hf:owner/name.")]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, or cuda:0.")]
Seed = Annotated[int, typer.Option(help="Same seed, same result.")]


@app.command()
def train(
    kind: Annotated[
        str, typer.Argument(help="text, image, ...: see `septet recipes`; may be left out where files are of one kind.")
    ],
    source: Annotated[Path | None, typer.Argument(help="A folder of files, or one file.")] = None,
    options: Annotated[
        list[str] | None, typer.Argument(help="option=value of the recipe; see `septet recipes`.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="See `septet recipes`; the kind may be left out. Several: gpt,diffusion,gan.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Go on from this model; `nothing` for none.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for everything: 90s, 20m, 1h30m. Default 20m.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps instead of a time; resumes bit for bit.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same result. Default 0.")] = None,
    out: Annotated[Path | None, typer.Option(help="The model's folder. Default models/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    canaries: Annotated[int | None, typer.Option(help="Plant so many random items, to see what is kept.")] = None,
    keep: Annotated[
        str | None, typer.Option(help="best, by the held-out loss (default; not of diffusion), or last.")
    ] = None,
    evidence: Annotated[
        bool | None, typer.Option(help="Keep what tells new from copied: features and file names; on by default.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Learn a model from your files."""
    from . import training

    learned = (*training.named(kind, source, options or [], recipe), recipe, start)
    length = (budget, steps, seed, out, resume)
    training.train(training.TrainCommand(*learned, *length, canaries, keep, evidence, device))


@app.command()
def generate(
    what: Annotated[
        str, typer.Argument(help="A model's name or folder; or a kind of content, as text or image, for its starter.")
    ],
    prompt: Annotated[str | None, typer.Argument(help="What to make; for text, how it begins.")] = None,
    options: Annotated[
        list[str] | None, typer.Argument(help="setting=value of the process; name=@FILE of the prompt.")
    ] = None,
    model: Model = None,
    count: Annotated[int, typer.Option(help="How many; seeds count up.")] = 1,
    seed: Seed = 0,
    guidance: Annotated[float | None, typer.Option(help="How strongly the prompt pulls; 1 is plain.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of a draw, where the process has any.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="CSV with columns prompt, name, count, seed.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("made"),
    given: Annotated[
        Path | None, typer.Option("--given", "--image", help="A file to go on from or, with the next two, to change.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", "--mask", help="What of --given is drawn anew: of a picture x,y,w,h or a mask file."),
    ] = None,
    strength: Annotated[float | None, typer.Option(help="How far --given is varied, above 0 to 1.")] = None,
    like: Annotated[Path | None, typer.Option(help="More like this file.")] = None,
    end_prompt: Annotated[str | None, typer.Option("--to", help="Interpolate from the prompt to this one.")] = None,
    end_seed: Annotated[int | None, typer.Option("--to-seed", help="Interpolate from the seed to this one.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="Of the files: svg, png, webp or txt.")] = None,
    tile: Annotated[int, typer.Option(help="Outputs drawn at a time; bits depend on it.")] = 8,
    device: Device = "auto",
) -> None:
    """Make new content."""
    from . import editing, generating
    from .prompts import GenerateCommand

    settings: dict[str, Any] = {"guidance": guidance, "steps": steps}
    edit = editing.Edit(given, where, strength, like, end_prompt, end_seed)
    suffix = None if form is None else "." + form.lower().removeprefix(".")
    request = GenerateCommand(what, model, prompt, options or [], count, seed, prompts, out, tile, suffix, device)
    generating.generate(request, {k: v for k, v in settings.items() if v is not None}, edit)


@app.command()
def chat(
    options: Annotated[list[str] | None, typer.Argument(help="setting=value, such as temperature=0.")] = None,
    model: Annotated[str | None, typer.Option(help="Taught to converse. Default: SmolLM2, fetched, 93 MB.")] = None,
    system: Annotated[str | None, typer.Option(help="What the model is told before all else.")] = None,
    length: Annotated[int | None, typer.Option(help="Symbols of an answer at most. Default 512.")] = None,
    seed: Seed = 0,
    save: Annotated[Path | None, typer.Option(help="Keep the conversation in this JSON file.")] = None,
) -> None:
    """Talk with a language model; lines from a pipe are answered one after another."""
    from . import conversing
    from .prompts import options_of

    settings = options_of(options or []) | ({} if length is None else {"length": length})
    conversing.converse(model, system, seed, settings, save)


@app.command()
def audit(
    what: Annotated[
        list[str],
        typer.Argument(help="A model (or several), a folder of data, or a file septet made."),
    ],
    data: Annotated[Path | None, typer.Option(help="What it was trained on, where that has moved.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="Of a folder: the kind of its files. Default: that of most of them.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="How many to draw. Default 200, fewer if slow.")] = None,
    seed: Seed = 0,
    model: Annotated[str | None, typer.Option(help="Of a file: the model that drew it, where that has moved.")] = None,
    influence: Annotated[
        bool, typer.Option("--influence", help="Of a file: what it was learned from, slowly.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for what is found. Default beside what is audited.")] = None,
) -> None:
    """Of a model: is it good, does it copy? Of several: which is best? Of a file: where did it come from? Of a folder:
    what does it hold?"""
    first = what[0]
    if os.path.isfile(first) and all("=@" in word for word in what[1:]):
        from . import tracing

        tracing.trace(Path(first), model, data, influence, out, what[1:])
    elif len(what) == 1 and _holds_data(first):
        from . import inspecting

        inspecting.examine(Path(first), kind, seed, out)
    else:
        from . import auditing

        request = auditing.AuditCommand(first, data, count, seed, out)
        auditing.audit(request) if len(what) == 1 else auditing.compare(what, request)


def _holds_data(path: str) -> bool:
    """Whether it is a folder, and no model's."""
    from ..folders.references import starters

    model = any(os.path.exists(f"{path}/{name}") for name in MODEL_FILES)
    return os.path.isdir(path) and not model and path not in starters()


@app.command()
def check(file: Annotated[Path, typer.Argument(help="Any file.")]) -> None:
    """Tell what wrote a file, by its record."""
    from . import tracing

    tracing.check(file)


@app.command()
def models() -> None:
    """List the models at hand: starters, and those in ./models."""
    from . import listing

    listing.models()


@app.command()
def recipes() -> None:
    """List the recipes and their options."""
    from . import listing

    listing.recipes()


@app.command()
def show(reference: Annotated[str, typer.Argument(help="A starter's name or a model folder.")]) -> None:
    """Tell what a model is, what it was trained on and how it did."""
    from . import listing

    listing.show(reference)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the gallery.")] = Path("made/demo"),
    budget: Annotated[str, typer.Option(help="Time for the model that is trained for it.")] = "150s",
) -> None:
    """Draw a gallery with the starters and with a model trained on the spot, and a page that shows it."""
    from . import gallery

    gallery.demo(out, budget)


app.command()(exporting.export)
app.add_typer(serving.app, name="serve")


def main(arguments: list[str] | None = None) -> None:
    """The entry point. What a user did wrong is one sentence and exit code 2; nothing shows a traceback but our own
    mistakes."""
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # read when torch loads: bounded spinning of its threads
    try:
        arguments = sys.argv[1:] if arguments is None else arguments
        if ranks.world() > 1 and arguments[:1] != ["train"]:
            _fail("only train runs under torchrun; start other commands without it")
        code = app(arguments or ["--help"], prog_name="septet", standalone_mode=False)
        ranks.leave(int(code or 0))
        sys.exit(code)
    except UsageError as error:
        _fail(f"{error.format_message().rstrip('.')}; see septet --help")
    except (KeyboardInterrupt, typer.Abort):
        tell("\nInterrupted. A training that was under way goes on with --resume.", error=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except MemoryError:
        _fail(NO_MEMORY)
    except (ValueError, RuntimeError) as error:
        from ..space import Refusal

        if not isinstance(error, Refusal) and "allocate memory" not in str(error):
            raise
        _fail(str(error) if isinstance(error, Refusal) else NO_MEMORY)


UsageError: Any = typer.BadParameter.__base__  # click's, of which some versions of typer have a copy of their own
NO_MEMORY = "there is not enough memory for this; ask for less at a time, or a smaller model"


def _fail(sentence: str) -> NoReturn:
    ranks.wait_for_rank_0()
    line = f"septet: {' '.join(sentence.splitlines())}"  # a line of its own would look like ours
    tell(line, error=True, rank=ranks.rank())
    sys.exit(2)
