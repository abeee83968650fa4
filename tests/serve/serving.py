"""The API with small models, in a thread of this process."""

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import openai
import torch
import uvicorn
from bertlike import encoder
from coder import untaught
from talkers import filler, talker

from septet import models
from septet.backbones.transformer import Transformer
from septet.codecs.patches import Patches
from septet.conditioners.nothing import Nothing
from septet.generator import Generator
from septet.modalities.image import Image
from septet.openweights.sentences import Encoder
from septet.processes.flow import Flow
from septet.serve.api import application
from septet.serve.engine import Engine
from septet.serve.limits import Impatient
from septet.serve.server import Server

PATIENCE = 300.0  # seconds for what takes no time on an idle machine


def painter() -> Generator:
    """An untrained model of pictures, 8 pixels a side."""
    codec = Patches(8, 4, 4)
    torch.manual_seed(0)
    process = Flow(codec.space, Transformer(32, 1, 2, modulated=True))
    return Generator(Image(8), codec, process, Nothing(), settings={"steps": 2}).eval()


HEY = [{"role": "user", "content": "hey"}]
MODELS = {
    "talker": lambda: talker(256),
    "long": lambda: talker(8192),
    "filler": filler,
    "letters": lambda: filler(characters="ab"),
    "coder": untaught,
    "icons": lambda: models.load("icons"),
    "painter": painter,
    "sentences": encoder,
}
DEFAULTS = {"chat": "talker", "text": "talker", "fill": "filler", "infill": "filler", "embedding": "sentences"}


def wait_until(done: Callable[[], bool]) -> None:
    """However long it takes: what never comes is ended by the time limit of tests."""
    while not done():
        time.sleep(0.01)


def speaks_ipv6() -> bool:
    """Whether this machine has the address ::1."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def loaded(reference: str) -> Generator | Encoder:
    return MODELS[reference]()


class Running:
    """A server in a thread, at a free port."""

    def __init__(self, places: int = 8, key: str | None = None, hosts: list[str] | None = None):
        self.engine = Engine(loaded, places)
        server = Server(self.engine, lambda: list(MODELS), DEFAULTS | {"image": "icons"})
        settings = uvicorn.Config(
            application(server, key, hosts), port=0, log_level="error", lifespan="on", http=Impatient
        )
        self.uvicorn = uvicorn.Server(settings)
        self.thread = threading.Thread(target=self.uvicorn.run)
        self.thread.start()
        wait_until(lambda: self.uvicorn.started or not self.thread.is_alive())
        port = self.uvicorn.servers[0].sockets[0].getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.client: Any = openai.OpenAI(base_url=f"{self.base}/v1", api_key=key or "none", max_retries=0)

    def post(self, path: str, body: bytes) -> tuple[int, dict]:
        headers = {"content-type": "application/json"}
        asked = urllib.request.Request(self.base + path, body, headers)
        try:
            with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def chat(self, model: str = "talker", **more: Any) -> Any:
        return self.client.chat.completions.create(model=model, messages=HEY, **more)

    def stop(self) -> None:
        self.client.close()
        self.uvicorn.should_exit = True
        self.thread.join()
