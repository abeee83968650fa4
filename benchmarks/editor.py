"""Latency of completions for an editor, and how soon a cancelled request ends.

    python benchmarks/editor.py [--quick] [--model python] [--file FILE] [--requests 100]

The server runs over stdio, as an editor starts it, with the file's folder indexed. Warm: letters are typed into lines
of a file of 1,000 lines, one after another, with a request after each. Cold: each request is for another position in
the file. Cancelled: a request for several lines is cancelled after 5 ms; the result is how much longer than usual the
next answer takes, at a warm position.
"""

import asyncio
import statistics
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import measure.report as report
import numpy as np
from lsprotocol import types
from measure.report import Figure
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

INLINE = types.TEXT_DOCUMENT_INLINE_COMPLETION
SOURCE = Path(__file__).parent.parent / "src" / "septet"
LINES = 1000


def long_file() -> str:
    """Code of this project, which the model was not trained on, joined to 1,000 lines."""
    lines: list[str] = []
    for path in sorted(SOURCE.glob("*.py")):
        lines += path.read_text().split("\n")
    return "\n".join(lines[:LINES])


class Session:
    """A language server with one open file."""

    def __init__(self, folder: Path, text: str, model: str):
        self.folder, self.text, self.model, self.version = folder, text, model, 0
        self.uri, self.asked = (folder / "long.py").as_uri(), ""
        self.client, self.indexed = LanguageClient("benchmark", "1"), asyncio.Event()

    async def begin(self) -> None:
        @self.client.feature("window/logMessage")
        def told(params: types.LogMessageParams) -> None:
            if "indexed" in params.message:
                self.indexed.set()

        command = [
            sys.executable,
            "-c",
            "from septet.cli.app import main; main()",
            "serve",
            "editor",
            "--model",
            self.model,
        ]
        await self.client.start_io(*command)
        root = types.WorkspaceFolder(self.folder.as_uri(), "folder")
        asked = types.InitializeParams(types.ClientCapabilities(), root_uri=root.uri, workspace_folders=[root])
        await self.client.initialize_async(asked)
        self.client.initialized(types.InitializedParams())
        item = types.TextDocumentItem(self.uri, "python", 0, self.text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        await asyncio.wait_for(self.indexed.wait(), 60)

    def insert(self, line: int, column: int, text: str, until: int | None = None) -> None:
        """Replaces the text between two columns, and sends the whole file, as the server's synchronisation requires."""
        lines = self.text.split("\n")
        lines[line] = lines[line][:column] + text + lines[line][column if until is None else until :]
        self.text, self.version = "\n".join(lines), self.version + 1
        version = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        change = types.TextDocumentContentChangeWholeDocument(self.text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(version, [change]))

    async def ask(self, line: int, column: int, kind=types.InlineCompletionTriggerKind.Automatic) -> str:
        document, context = types.TextDocumentIdentifier(self.uri), types.InlineCompletionContext(kind)
        asked = types.InlineCompletionParams(context, document, types.Position(line, column))
        self.asked = str(uuid.uuid4())
        found = await self.client.protocol.send_request_async(INLINE, asked, msg_id=self.asked)
        items = found.items if isinstance(found, types.InlineCompletionList) else []
        return str(items[0].insert_text) if items else ""


async def typed(session: Session, places: list[tuple[int, str]], count: int) -> tuple[list[float], int]:
    """Seconds per request while lines are typed, without the first of each line; and the number of answers."""
    seconds, answered = [], 0
    for number, whole in places:
        session.insert(number, 0, "", len(whole))
        start = len(whole) - len(whole.lstrip())
        session.insert(number, 0, whole[:start])
        for column in range(start, len(whole)):
            began = time.monotonic()
            answer = await session.ask(number, column)
            if column > start:
                seconds.append(time.monotonic() - began)
                answered += bool(answer)
            session.insert(number, column, whole[column])
            if len(seconds) >= count:
                session.insert(number, 0, whole, column + 1)
                return seconds, answered
    return seconds, answered


async def jumped(session: Session, places: list[tuple[int, str]]) -> list[float]:
    seconds = []
    for number, whole in places:
        began = time.monotonic()
        await session.ask(number, len(whole) // 2)
        seconds.append(time.monotonic() - began)
    return seconds


async def cancelled(session: Session, places: list[tuple[int, str]]) -> list[float]:
    """How much longer than usual an answer takes right after a cancelled request."""
    seconds = []
    (number, whole), others = places[0], places[1:]
    for other, line in others:
        await session.ask(number, len(whole))
        began = time.monotonic()
        await session.ask(number, len(whole))
        usual = time.monotonic() - began
        task = asyncio.create_task(session.ask(other, len(line) // 2, types.InlineCompletionTriggerKind.Invoked))
        await asyncio.sleep(0.005)
        session.client.cancel_request(types.CancelParams(session.asked))
        began = time.monotonic()
        await session.ask(number, len(whole))
        seconds.append(max(0.0, time.monotonic() - began - usual))
        with suppress(JsonRpcException):  # it was cancelled
            await task
    return seconds


async def measured(session: Session, count: int) -> list[Figure]:
    await session.begin()
    lines = list(enumerate(session.text.split("\n")))
    code = [(number, line) for number, line in lines if len(line.strip()) > 20]
    stream = np.random.Generator(np.random.Philox(0))
    chosen = [code[i] for i in stream.permutation(len(code))]
    warm, answered = await typed(session, chosen[:20], count)
    cold = await jumped(session, chosen[20 : 20 + max(3, count // 2)])
    late = await cancelled(session, chosen[-max(3, count // 5) :])
    return [
        Figure("warm, 95th percentile", float(np.quantile(warm, 0.95)), "s", at_most=0.3),
        Figure("warm, median", statistics.median(warm), "s"),
        Figure("warm, share answered", answered / len(warm)),
        Figure("cold, 95th percentile", float(np.quantile(cold, 0.95)), "s", at_most=1.0),
        Figure("cold, median", statistics.median(cold), "s"),
        Figure("delay by a cancelled request, 95th percentile", float(np.quantile(late, 0.95)), "s", at_most=0.05),
    ]


def main() -> None:
    parser = report.asking(__doc__)
    parser.add_argument("--model", default="python")
    parser.add_argument("--file", type=Path, help="another file of code")
    parser.add_argument("--requests", type=int, default=100)
    asked, began = parser.parse_args(), time.monotonic()
    text = asked.file.read_text() if asked.file else long_file()
    with tempfile.TemporaryDirectory(prefix="septet-editor-") as place:
        (Path(place) / "long.py").write_text(text)
        session = Session(Path(place), text, asked.model)
        figures = asyncio.run(measured(session, 5 if asked.quick else asked.requests))
    report.answer(figures, began, asked.quick, lines=text.count("\n") + 1)


if __name__ == "__main__":
    main()
