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
    help="Train generative models on your own files, generate new content, audit models, data and outputs.",
)
MODEL_FILES = ("manifest.json", "config.json", "model.safetensors")  # a folder with any of these is treated as a model
Model = Annotated[str | None, typer.Option(help="A starter's name, a model folder, or hf:owner/name.")]
Device = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, or cuda:0.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]


@app.command()
def train(
    kind: Annotated[
        str, typer.Argument(help="text, image, ...: see `septet recipes`; optional if all files are of one kind.")
    ],
    source: Annotated[Path | None, typer.Argument(help="A folder of files, or one file.")] = None,
    options: Annotated[
        list[str] | None, typer.Argument(help="Options of the recipe, as option=value; see `septet recipes`.")
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="See `septet recipes`; the kind may be omitted. Several: gpt,diffusion,gan.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Model to fine-tune; `nothing`: random weights.")] = None,
    budget: Annotated[str | None, typer.Option(help="Time for everything: 90s, 20m, 1h30m. Default: 20m.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps, instead of a time; resumes bit for bit.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same result. Default: 0.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the model. Default: models/NAME.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    canaries: Annotated[int | None, typer.Option(help="Random items to insert, to measure memorisation.")] = None,
    keep: Annotated[
        str | None, typer.Option(help="Weights to save: best, by validation loss (default, except diffusion), or last.")
    ] = None,
    evidence: Annotated[
        bool | None, typer.Option(help="Store features and file names of the data, to detect copies. Default: on.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Train a model on your files."""
    from . import training

    learned = (*training.named(kind, source, options or [], recipe), recipe, start)
    length = (budget, steps, seed, out, resume)
    training.train(training.TrainCommand(*learned, *length, canaries, keep, evidence, device))


@app.command()
def generate(
    what: Annotated[
        str, typer.Argument(help="A model's name or folder, or a kind of content (text, image, ...) for its starter.")
    ],
    prompt: Annotated[str | None, typer.Argument(help="What to generate; for text, its beginning.")] = None,
    options: Annotated[
        list[str] | None, typer.Argument(help="Sampling settings, setting=value; files of the prompt, name=@FILE.")
    ] = None,
    model: Model = None,
    count: Annotated[int, typer.Option(help="Number of outputs; the seed counts up.")] = 1,
    seed: Seed = 0,
    guidance: Annotated[float | None, typer.Option(help="Strength of classifier-free guidance; 1 means none.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of sampling steps, for processes that have them.")] = None,
    prompts: Annotated[Path | None, typer.Option(help="CSV file with columns prompt, name, count, seed.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("made"),
    given: Annotated[
        Path | None,
        typer.Option("--given", "--image", help="A file to continue; with the next two options, to change."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", "--mask", help="The part of --given to regenerate; of a picture x,y,w,h or a mask."),
    ] = None,
    strength: Annotated[float | None, typer.Option(help="How much to vary --given, above 0 to 1.")] = None,
    like: Annotated[Path | None, typer.Option(help="Generate variations of this file.")] = None,
    end_prompt: Annotated[str | None, typer.Option("--to", help="Interpolate from the prompt to this one.")] = None,
    end_seed: Annotated[int | None, typer.Option("--to-seed", help="Interpolate from the seed to this one.")] = None,
    form: Annotated[str | None, typer.Option("--format", help="File format: svg, png, webp or txt.")] = None,
    tile: Annotated[int, typer.Option(help="Outputs per batch; the exact bits depend on it.")] = 8,
    device: Device = "auto",
) -> None:
    """Generate new content."""
    from . import editing, generating
    from .prompts import GenerateCommand

    settings: dict[str, Any] = {"guidance": guidance, "steps": steps}
    edit = editing.Edit(given, where, strength, like, end_prompt, end_seed)
    suffix = None if form is None else "." + form.lower().removeprefix(".")
    request = GenerateCommand(what, model, prompt, options or [], count, seed, prompts, out, tile, suffix, device)
    generating.generate(request, {k: v for k, v in settings.items() if v is not None}, edit)


@app.command()
def chat(
    options: Annotated[list[str] | None, typer.Argument(help="Sampling settings, such as temperature=0.")] = None,
    model: Annotated[str | None, typer.Option(help="A chat model. Default: SmolLM2, downloaded once, 93 MB.")] = None,
    system: Annotated[str | None, typer.Option(help="The system prompt.")] = None,
    length: Annotated[int | None, typer.Option(help="Most tokens of an answer. Default: 512.")] = None,
    seed: Seed = 0,
    save: Annotated[Path | None, typer.Option(help="Save the conversation to this JSON file.")] = None,
) -> None:
    """Chat with a language model; lines from a pipe are answered one after another."""
    from . import conversing
    from .prompts import options_of

    settings = options_of(options or []) | ({} if length is None else {"length": length})
    conversing.converse(model, system, seed, settings, save)


@app.command()
def audit(
    what: Annotated[
        list[str],
        typer.Argument(help="A model (or several), a folder of data, or a file that septet generated."),
    ],
    data: Annotated[Path | None, typer.Option(help="For a model: its training data, if they have moved.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="For a folder: the kind of files to audit. Default: the most frequent.")
    ] = None,
    count: Annotated[int | None, typer.Option(help="Outputs to generate. Default: 200, fewer if slow.")] = None,
    seed: Seed = 0,
    model: Annotated[str | None, typer.Option(help="For a file: the model that generated it, if it has moved.")] = None,
    influence: Annotated[
        bool, typer.Option("--influence", help="For a file: the training items that influenced it most (slow).")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the report. Default: beside what is audited.")] = None,
) -> None:
    """For a model: is it good, does it copy? For several: which is best? For a file: where does it come from? For a
    folder: what does it contain?"""
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
    """Whether `path` is a folder, but not a model."""
    from ..storage.references import starters

    model = any(os.path.exists(f"{path}/{name}") for name in MODEL_FILES)
    return os.path.isdir(path) and not model and path not in starters()


@app.command()
def check(file: Annotated[Path, typer.Argument(help="Any file.")]) -> None:
    """Show the record in a file: which model generated it, and how."""
    from . import tracing

    tracing.check(file)


@app.command()
def models() -> None:
    """List the available models: starters, and those in ./models."""
    from . import listing

    listing.models()


@app.command()
def recipes() -> None:
    """List the recipes and their options."""
    from . import listing

    listing.recipes()


@app.command()
def show(reference: Annotated[str, typer.Argument(help="A starter's name or a model folder.")]) -> None:
    """Show a model's parts, training data and results."""
    from . import listing

    listing.show(reference)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the gallery.")] = Path("made/demo"),
    budget: Annotated[str, typer.Option(help="Time for training the gallery's own model.")] = "150s",
) -> None:
    """Generate a gallery with the starters and with a newly trained model, and a page that shows it."""
    from . import gallery

    gallery.demo(out, budget)


app.command()(exporting.export)
app.add_typer(serving.app, name="serve")


def main(arguments: list[str] | None = None) -> None:
    """The entry point. A user's error gives one sentence and exit code 2; only bugs in septet show a traceback."""
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
        tell("\nInterrupted. To continue a training run, add --resume.", error=True)
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


UsageError: Any = typer.BadParameter.__base__  # click's; some versions of typer bundle a copy of it
NO_MEMORY = "not enough memory for this; ask for less at a time, or use a smaller model"


def _fail(sentence: str) -> NoReturn:
    ranks.wait_for_rank_0()
    line = f"septet: {' '.join(sentence.splitlines())}"  # one line, so that no message can imitate another
    tell(line, error=True, rank=ranks.rank())
    sys.exit(2)
