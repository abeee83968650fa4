"""A language server that completes code: inline (LSP 3.18), and as ordinary completion for older clients."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from ..completion import FLOOR, Completer, Completion, Index, project
from ..generator import Generator
from ..modalities.code import Code
from ..output import version


class Editor:
    """Completes what is open in an editor, one request at a time: a newer one ends those before it."""

    def __init__(self, model: Generator, floor: float = FLOOR):
        self.floor, self.completer = floor, Completer(model, Index(model.codec))
        self.worker = ThreadPoolExecutor(1, "completing")
        self.newest: threading.Event | None = None  # set when nobody waits for the answer any more

    async def complete(self, before: str, after: str, name: str, block: bool) -> Completion | None:
        if self.newest is not None:
            self.newest.set()
        left = self.newest = threading.Event()

        def work() -> Completion | None:
            if left.is_set():
                return None
            return self.completer.complete(before, after, name, block, self.floor, left.is_set)

        try:
            return await asyncio.get_running_loop().run_in_executor(self.worker, work)
        except asyncio.CancelledError:
            left.set()
            raise

    def learn(self, root: Path, told: Callable[[str], None]) -> None:
        """Index a project, in a thread of its own; completions are drawn meanwhile."""

        def work() -> None:
            files = project.read(root)
            index = Index(self.completer.codec, files)
            self.worker.submit(setattr, self.completer, "index", index)
            told(f"septet: {len(files):,} files of {root} indexed, {len(index.main.symbols):,} symbols")

        threading.Thread(target=work, name="indexing", daemon=True).start()

    def save(self, path: Path) -> None:
        """A file as it was saved."""
        assert self.completer.index is not None
        text = project.text_of(path) if path.suffix.lower() in Code.extensions else None
        self.worker.submit(self.completer.index.put, str(path.resolve()), text)


def server(model: Generator, floor: float = FLOOR) -> LanguageServer:
    """To be started with start_io() or start_tcp()."""
    editor, lsp = Editor(model, floor), LanguageServer("septet", version())
    _following(lsp, editor)

    async def at(uri: str, position: types.Position, block: bool) -> Completion | None:
        document = lsp.workspace.get_text_document(uri)
        text, cursor = document.source, document.offset_at_position(position)
        return await editor.complete(text[:cursor], text[cursor:], _name(uri), block)

    @lsp.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
    async def inline(params: types.InlineCompletionParams) -> types.InlineCompletionList:
        block = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
        found = await at(params.text_document.uri, params.position, block)
        here = types.Range(params.position, params.position)
        return types.InlineCompletionList([types.InlineCompletionItem(found.text, range=here)] if found else [])

    @lsp.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[".", "(", "=", " "]))
    async def completion(params: types.CompletionParams) -> types.CompletionList:
        found = await at(params.text_document.uri, params.position, block=False)
        if found is None:
            return types.CompletionList(is_incomplete=True, items=[])
        word = lsp.workspace.get_text_document(params.text_document.uri).word_at_position(params.position)
        edit = types.TextEdit(types.Range(params.position, params.position), found.text)
        kind = types.CompletionItemKind.Snippet
        item = types.CompletionItem(word + found.text, kind=kind, detail="septet", text_edit=edit, sort_text="~")
        return types.CompletionList(is_incomplete=True, items=[item])

    return lsp


def _following(lsp: LanguageServer, editor: Editor) -> None:
    """The index follows the project: all of it from the beginning, then every file as it is saved."""

    def told(sentence: str) -> None:
        lsp.window_log_message(types.LogMessageParams(types.MessageType.Info, sentence))

    @lsp.feature(types.INITIALIZED)
    def initialized(params: types.InitializedParams) -> None:
        roots = [to_fs_path(folder.uri) for folder in lsp.workspace.folders.values()] or [lsp.workspace.root_path]
        for root in filter(None, roots[:1]):
            editor.learn(Path(root), told)

    @lsp.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(params: types.DidSaveTextDocumentParams) -> None:
        path = to_fs_path(params.text_document.uri)
        if path:
            editor.save(Path(path))


def _name(uri: str) -> str:
    """Of a file in the index."""
    path = to_fs_path(uri)
    return str(Path(path).resolve()) if path else uri
