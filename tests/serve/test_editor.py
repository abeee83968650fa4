"""A language client, and Neovim, get completions from the server: shown, accepted, cancelled."""

import asyncio
import json
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from coder import SOURCE, untaught
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient
from serving import PATIENCE

from septet.serve import setups
from septet.serve.editor import Editor
from septet.space import Refusal

SERVER = [sys.executable, str(Path(__file__).with_name("coding_server.py"))]
OPEN = (
    "from harbour import Harbour\n\n\nclass Basin(Harbour):\n    def admits(self, boat):\n        return self.draught"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "harbour.py").write_text(SOURCE)
    (tmp_path / ".git").mkdir()
    (tmp_path / "basin.py").write_text(OPEN)
    return tmp_path


@pytest_lsp.fixture(config=ClientServerConfig(server_command=SERVER))
async def client(lsp_client: LanguageClient, project: Path):
    folder = types.WorkspaceFolder(project.as_uri(), "project")
    asked = types.InitializeParams(types.ClientCapabilities(), root_uri=project.as_uri(), workspace_folders=[folder])
    found = await lsp_client.initialize_session(asked)
    assert found.capabilities.inline_completion_provider is not None
    while not any("indexed" in message.message for message in lsp_client.log_messages):
        await asyncio.sleep(0.05)
    yield
    await lsp_client.shutdown_session()


def opened(client: LanguageClient, project: Path, text: str) -> tuple[types.TextDocumentIdentifier, types.Position]:
    """A file of the project as it is in the editor, and its end."""
    uri = (project / "basin.py").as_uri()
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "python", 0, text)))
    lines = text.split("\n")
    return types.TextDocumentIdentifier(uri), types.Position(len(lines) - 1, len(lines[-1]))


def inline(document, position, kind=types.InlineCompletionTriggerKind.Automatic) -> types.InlineCompletionParams:
    return types.InlineCompletionParams(types.InlineCompletionContext(kind), document, position)


def told(found: Any) -> str:
    """The one text that is offered, for the cursor."""
    assert isinstance(found, types.InlineCompletionList)
    [item] = found.items
    assert item.range is not None and item.range.start == item.range.end and isinstance(item.insert_text, str)
    return item.insert_text


@pytest.mark.asyncio
async def test_a_client_gets_the_projects_line_inline_and_in_the_menu(client: LanguageClient, project: Path):
    document, end = opened(client, project, OPEN)
    found = await client.text_document_inline_completion_async(inline(document, end))
    assert told(found) == "_of(boat) < self.depth_metres"
    menu = await client.text_document_completion_async(types.CompletionParams(document, end))
    assert isinstance(menu, types.CompletionList)
    assert menu.items[0].text_edit == types.TextEdit(types.Range(end, end), "_of(boat) < self.depth_metres")
    document, end = opened(client, project, 'x = "\f"\ny = width_of_all\nz = width_s')
    place = types.Position(end.line, end.character - 2)
    menu = await client.text_document_completion_async(types.CompletionParams(document, place))
    assert isinstance(menu, types.CompletionList)
    [item] = menu.items
    assert item.text_edit and item.label == item.filter_text == f"width{item.text_edit.new_text}"


@pytest.mark.asyncio
async def test_what_is_typed_and_saved_counts_and_a_stale_request_ends(client: LanguageClient, project: Path):
    document, end = opened(client, project, "é = 1\nanchors = count_all_anchors()\nanchors = ")
    found = await client.text_document_inline_completion_async(inline(document, end))
    assert told(found).startswith("count_all_anchors()")
    (project / "harbour.py").write_text("ships = every_ship_there_is(now)\n")
    saved = types.TextDocumentIdentifier((project / "harbour.py").as_uri())
    client.text_document_did_save(types.DidSaveTextDocumentParams(saved))
    change = types.TextDocumentContentChangeWholeDocument("é = 1\nanchors = count_all_anchors()\nanchors = 1\nships = ")
    version = types.VersionedTextDocumentIdentifier(1, document.uri)
    client.text_document_did_change(types.DidChangeTextDocumentParams(version, [change]))
    end = types.Position(3, 8)
    asked = [client.text_document_inline_completion_async(inline(document, end)) for _ in range(4)]
    answers = await asyncio.gather(*asked)
    assert told(answers[-1]).startswith("every_ship_there_is(now)")


@pytest.mark.asyncio
@pytest.mark.parametrize("encoding", list(types.PositionEncodingKind))
async def test_positions_count_in_the_units_agreed_upon(encoding: types.PositionEncodingKind, project: Path):
    general = types.GeneralClientCapabilities(position_encodings=[encoding])
    folder = types.WorkspaceFolder(project.as_uri(), "project")
    asked = types.InitializeParams(types.ClientCapabilities(general=general), workspace_folders=[folder])
    client = pytest_lsp.make_test_lsp_client()
    await client.start_io(*SERVER)
    try:
        found = await client.initialize_session(asked)
        assert found.capabilities.position_encoding == encoding
        line = 'name = "\U0001f600é"; boats = count_'
        document, _ = opened(client, project, f'x = "a"; boats = count_all_boats(x)\n{line})')
        sizes = {"utf-8": len(line.encode()), "utf-16": len(line.encode("utf-16-le")) // 2, "utf-32": len(line)}
        place = types.Position(1, sizes[encoding.value])
        answer = await client.text_document_inline_completion_async(inline(document, place))
        assert told(answer).startswith("all_boats(x)")
    finally:
        await client.shutdown_session()


@pytest.mark.parametrize("how", ["cancelled", "overtaken"])
def test_nothing_is_drawn_for_who_has_left(how: str, monkeypatch):
    drawn = []

    async def leaving() -> list[object]:
        editor, before = Editor(untaught(), 0.0), threading.Event()
        complete = editor.completer.complete
        monkeypatch.setattr(
            editor.completer, "complete", lambda text, *rest: drawn.append(text) or complete(text, *rest)
        )
        editor.worker.submit(before.wait)
        tasks = [asyncio.create_task(editor.complete(text, "", None, False, "inline")) for text in ("x = ", "y = ")]
        await asyncio.sleep(0.05)
        tasks[1].cancel() if how == "cancelled" else None
        await asyncio.sleep(0.05)
        before.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(leaving())
    assert answers[0] is None
    assert drawn == ([] if how == "cancelled" else ["y = "])
    assert isinstance(answers[1], asyncio.CancelledError) == (how == "cancelled")


@pytest.mark.skipif(shutil.which("nvim") is None, reason="Neovim is not installed")
def test_neovim_shows_and_accepts(project: Path, tmp_path: Path):
    done = tmp_path / "done.json"
    script = f"""
    {setups.setup("neovim", SERVER)}
    vim.cmd("edit {project / "basin.py"}")
    vim.bo.filetype = "python"
    local septet, seen = require("septet"), {{}}
    vim.wait({PATIENCE * 1000:.0f}, function()
      local client = vim.lsp.get_clients({{ name = "septet" }})[1]
      return client and client.initialized
    end)
    local function typed(keys)
      vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(keys, true, false, true), "n", false)
    end
    local function look(wait) -- nothing is known before the project is indexed: it is typed again, ever more patiently
      seen.shown = septet.showing()
      if not (seen.shown or ""):find("metres") then
        septet.clear()
        typed("<BS>_")
        return vim.defer_fn(function() look(wait * 1.5) end, wait)
      end
      local marks = vim.api.nvim_buf_get_extmarks(0, vim.api.nvim_get_namespaces().septet, 0, -1, {{ details = true }})
      seen.mark = marks[1] and marks[1][4].virt_text[1][1]
      septet.accept("word")
      seen.word = vim.api.nvim_get_current_line()
      septet.accept("all")
      seen.all = vim.api.nvim_get_current_line()
      vim.fn.writefile({{ vim.json.encode(seen) }}, "{done}")
      vim.cmd("qall!")
    end
    typed("GA_")
    vim.defer_fn(function() look(1000) end, 1000)
    """
    (tmp_path / "init.lua").write_text(script)
    command = ["nvim", "--headless", "-u", str(tmp_path / "init.lua")]
    subprocess.run(command, cwd=project, timeout=PATIENCE, check=True, capture_output=True)
    seen = json.loads(done.read_text())
    assert seen["shown"] == seen["mark"] == "of(boat) < self.depth_metres"
    assert seen["word"].endswith("return self.draught_of")
    assert seen["all"].endswith("return self.draught_of(boat) < self.depth_metres")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_extension_of_vs_code_completes(project: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "code --install-extension septet.vsix" in setups.setup("vscode", SERVER)
    with zipfile.ZipFile("septet.vsix") as archive:
        assert {"extension.vsixmanifest", "[Content_Types].xml", "extension/package.json"} <= set(archive.namelist())
        archive.extractall(tmp_path / "unpacked")
    stub = Path(__file__).with_name("vscode_stub.js")
    command = ["node", str(stub), str(tmp_path / "unpacked" / "extension"), str(project), OPEN]
    ended = subprocess.run(command, timeout=PATIENCE, check=True, capture_output=True, text=True)
    assert json.loads(ended.stdout) == ["_of(boat) < self.depth_metres"]


@pytest.mark.parametrize("name", setups.EDITORS)
def test_every_editor_is_told_how_to_start_the_server(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = setups.setup(name, ["septet", "serve", "editor", "--model", "/models/own"])
    if name == "vscode":
        with zipfile.ZipFile("septet.vsix") as archive:
            told = archive.read("extension/package.json").decode()
    assert all(f'"{word}"' in told for word in ("septet", "serve", "editor", "--model", "/models/own"))


def test_an_unknown_editor_is_refused():
    with pytest.raises(Refusal, match="expected one of neovim, vscode, helix, emacs"):
        setups.setup("ed", ["septet"])


@pytest.mark.parametrize("way", ["saved", "open", "again"])
def test_a_file_outside_the_project_is_never_indexed(way: str, tmp_path: Path):
    inside, outside = tmp_path / "project" / "harbour.py", tmp_path / "others" / "keys.py"
    for path in (inside, outside):
        path.parent.mkdir()
        path.write_text(SOURCE)
    editor, told = Editor(untaught(), 0.0), threading.Event()

    def settled() -> dict[str, str]:
        """The index once the worker has done all that it was given."""
        assert editor.worker.submit(lambda: None).result() is None and editor.completer.index is not None
        return editor.completer.index.files

    if way == "again":  # saved before the project has been read: put in once it has
        editor.save(outside)
        editor.save(inside)
        settled()
    editor.learn(inside.parent, lambda sentence: told.set())
    assert told.wait()
    for path in (outside, inside):
        if way == "saved":
            editor.save(path)
        elif way == "open":
            asyncio.run(editor.complete("x = 1\ny = ", "\n", path, False, "inline"))
    assert set(settled()) == {str(inside)}


def test_without_a_project_no_file_is_indexed(tmp_path: Path):
    alone = tmp_path / "keys.py"
    alone.write_text(SOURCE)
    editor = Editor(untaught(), 0.0)
    asyncio.run(editor.complete("x = 1\ny = ", "\n", alone, False, "inline"))
    editor.save(alone)
    editor.worker.shutdown()
    assert editor.completer.index is not None and not editor.completer.index.files
