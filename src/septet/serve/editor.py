"""A language server that completes code: inline completion (LSP 3.18), and ordinary completion for older clients."""

import asyncio
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from ..code_completion import FLOOR, Completer, Completion, Index, project
from ..generator import Generator
from ..output import version
from ..space import Refusal

TRIGGERS = [".", "(", "=", " "]
LONGEST = 200  # most characters of a word


class Editor:
    """Completes open files, one request at a time; a newer request of the same kind cancels the earlier ones. Only the
    worker thread uses the index."""

    def __init__(self, model: Generator, floor: float = FLOOR):
        self.floor, self.completer = floor, Completer(model, Index(model.codec))
        self.worker = ThreadPoolExecutor(1, "completing")
        self.newest: dict[str, threading.Event] = {}  # of each kind; set when a request is cancelled
        self.root: Path | None = None
        self.saved: set[Path] = set()  # saved after indexing began
        self.held: dict[Path, bool] = {}  # whether a file belongs to the project

    async def complete(self, before: str, after: str, path: Path | None, block: bool, kind: str) -> Completion | None:
        """A completion between two texts of a file. Files outside the project are not added to the index."""
        if kind in self.newest:
            self.newest[kind].set()
        left = self.newest[kind] = threading.Event()

        def work() -> Completion | None:
            if left.is_set():
                return None
            name = str(path) if path and self._holds(path) else None
            return self.completer.complete(before, after, name, block, self.floor, left.is_set)

        try:
            return await asyncio.get_running_loop().run_in_executor(self.worker, work)
        except asyncio.CancelledError:
            left.set()
            raise

    def learn(self, root: Path, told: Callable[[str], None]) -> None:
        """Indexes a project in a background thread; completions are available meanwhile."""
        self.root = root

        def work() -> None:
            try:
                index = Index(self.completer.codec, project.read(root))
            except Refusal as error:
                told(f"septet: the project is not indexed: {error}")
                return
            self.worker.submit(self._take, index)
            told(f"septet: {len(index.files):,} files of {root} indexed, {len(index.main.symbols):,} tokens")

        threading.Thread(target=work, name="indexing", daemon=True).start()

    def _holds(self, path: Path) -> bool:
        """Whether a file belongs to the project; cached until a file is saved."""
        if self.root is not None and path not in self.held:
            self.held[path] = project.holds(self.root, path)
        return self.held.get(path, False)

    def _take(self, index: Index) -> None:
        self.completer.index = index
        for path in list(self.saved):
            self._put(path)

    def _put(self, path: Path) -> None:
        self.saved.add(path)
        self.held.clear()  # the rules may have changed
        if self.completer.index is not None and self._holds(path):
            self.completer.index.put(str(path), project.text_of(path))

    def save(self, path: Path) -> None:
        """Updates the index from a file on disk, after it was saved or closed."""
        self.worker.submit(self._put, path)


def server(model: Generator, floor: float = FLOOR) -> LanguageServer:
    """The language server, to be started with start_io() or start_tcp()."""
    editor = Editor(model, floor)
    lsp = LanguageServer("septet", version(), text_document_sync_kind=types.TextDocumentSyncKind.Full)
    _following(lsp, editor)

    async def at(uri: str, position: types.Position, block: bool, kind: str) -> tuple[Completion | None, str]:
        """A completion at a position, and the part of a word before it."""
        document = lsp.workspace.get_text_document(uri)
        lines = document.source.replace("\r\n", "\n").split("\n")
        found = document.position_codec.position_from_client_units(lines, position)  # in the negotiated units
        number, line = found.line, lines[found.line]
        left, right = line[: found.character], line[found.character :]
        before, after = "\n".join([*lines[:number], left]), "\n".join([right, *lines[number + 1 :]])
        word = re.findall(r"\w*\Z", left[-LONGEST:])[0]
        return await editor.complete(_whole(before), _whole(after), _path(uri), block, kind), word

    @lsp.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        block = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
        found, _ = await at(params.text_document.uri, params.position, block, "inline")
        here = types.Range(params.position, params.position)
        return types.InlineCompletionList([types.InlineCompletionItem(found.text, range=here)] if found else [])

    @lsp.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=TRIGGERS))
    async def completion(params: types.CompletionParams) -> types.CompletionList:
        found, word = await at(params.text_document.uri, params.position, False, "menu")
        if found is None:
            return types.CompletionList(is_incomplete=True, items=[])
        edit = types.TextEdit(types.Range(params.position, params.position), found.text)
        whole, kind = word + found.text, types.CompletionItemKind.Snippet
        item = types.CompletionItem(whole, kind=kind, detail="septet", text_edit=edit, sort_text="~", filter_text=whole)
        return types.CompletionList(is_incomplete=True, items=[item])

    return lsp


def _following(lsp: LanguageServer, editor: Editor) -> None:
    """Keeps the index up to date: the whole project at first, then every file that is saved or closed."""

    def told(sentence: str) -> None:
        lsp.window_log_message(types.LogMessageParams(types.MessageType.Info, sentence))

    @lsp.feature(types.INITIALIZED)
    def initialized(params: types.InitializedParams) -> None:
        roots = [to_fs_path(folder.uri) for folder in lsp.workspace.folders.values()] or [lsp.workspace.root_path]
        for root in filter(None, roots[:1]):
            editor.learn(Path(root).resolve(), told)

    @lsp.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        if path := _path(params.text_document.uri):
            editor.save(path)

    @lsp.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        if path := _path(params.text_document.uri):
            editor.save(path)


def _path(uri: str) -> Path | None:
    path = to_fs_path(uri)
    return Path(path).resolve() if path else None


def _whole(text: str) -> str:
    """Replaces surrogates, which cannot be encoded."""
    return text.encode("utf-8", "replace").decode()
