"""septet serve."""

import ipaddress
import os
import re
import shutil
import sys
from typing import Annotated, Any

import typer

from .terminal import tell

app = typer.Typer(help="Serve models to other programs on this machine.", no_args_is_help=True)
KEY = "SEPTET_API_KEY"
LOCAL = ("127.0.0.1", "::1", "localhost")
CONNECTIONS = 512


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Address to listen on; access from other machines needs a key.")] = LOCAL[0],
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    model: Annotated[
        list[str] | None, typer.Option(help="A model to serve besides starters and those in ./models; used by default.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar=KEY, help="The API key that clients must send.")] = None,
) -> None:
    """An API compatible with OpenAI's (chat, completions, embeddings, images) and with llama.cpp's /infill; and a route
    for files of any kind."""
    from ..space import Refusal

    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise Refusal(f"a server needs more packages ({error.name}); pip install 'septet[serve]'") from error
    _check_access(host, key)
    from ..serve import api as served
    from ..serve import limits
    from ..serve.server import Server as Shared

    server = Shared(*_models(model or []))
    named = f"[{host}]" if ":" in host else host  # as a URL has it
    hosts = None if key else [*LOCAL, "[::1]", named]
    settings = uvicorn.Config(
        served.application(server, key, hosts),
        host=host,
        port=port,
        log_level="warning",
        limit_concurrency=CONNECTIONS,
        http=limits.Impatient,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=30,
        server_header=False,
    )

    class Server(uvicorn.Server):
        """Accepts no new work after the first signal."""

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            base = f"http://{named}:{self.servers[0].sockets[0].getsockname()[1]}/v1"
            tell(f"Listening at {base} until Ctrl-C.\nNext: curl {base}/models", error=True)

        def handle_exit(self, sig: int, frame: Any) -> None:
            server.engine.close()
            super().handle_exit(sig, frame)

    Server(settings).run()


@app.command()
def editor(
    model: Annotated[str, typer.Option(help="A model of code: a starter's name or a model folder.")] = "python",
    setup: Annotated[
        str | None, typer.Option(help="Print the configuration for neovim, vscode, helix or emacs, and exit.")
    ] = None,
) -> None:
    """A language server over stdio that completes code; started by editors."""
    from ..space import Refusal

    if setup is not None:
        from ..serve.setups import setup as text_for

        named = os.path.abspath(model) if os.path.isdir(model) else model
        more = [] if model == "python" else ["--model", named]
        tell(text_for(setup, [shutil.which("septet") or os.path.abspath(sys.argv[0]), "serve", "editor", *more]))
        return
    try:
        from ..serve import editor as language
    except ImportError as error:
        raise Refusal(f"a language server needs more packages ({error.name}); pip install 'septet[editor]'") from error
    from .. import models

    language.server(models.load(model)).start_io()


def _check_access(host: str, key: str | None) -> None:
    from ..space import Refusal

    if not _local(host) and key is None:
        raise Refusal(f"--host {host} is open to other machines; set a key with --key or {KEY}")
    if key is not None and not re.fullmatch("[!-~]+", key):  # what every client can write in a header
        raise Refusal("--key: expected ASCII letters, digits and punctuation, without spaces; choose another key")


def _local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _models(given: list[str]) -> tuple[Any, Any, dict[str, str]]:
    """The engine, the models that are offered, and the defaults. Models in `given` are loaded now and come first."""
    from ..serve import routes
    from ..serve.engine import Engine
    from ..text_inference import embedding
    from .listing import at_hand

    uses = routes.uses()
    defaults = {use.name: reference for use in uses if (reference := use.default()) is not None}
    engine = Engine(embedding.loaded)
    for reference in reversed(given):
        with engine.using(reference) as loaded:
            defaults |= {use.name: reference for use in uses if use.able(loaded.model)}
    return engine, lambda: [*given, *(name for name, _ in at_hand())], defaults
