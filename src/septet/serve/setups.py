"""Configurations of editors for code completion with septet."""

import io
import json
import zipfile
from pathlib import Path

from ..space import Refusal
from ..storage.whole import write

FILES = Path(__file__).parent / "editors"
VSIX = "septet.vsix"
NEOVIM = """-- In ~/.config/nvim/init.lua (Neovim 0.10 or later):
package.path = "{folder}/?.lua;" .. package.path
require("septet").setup{{ cmd = {command} }}
-- Tab takes all of what is shown, Alt-w a word, Alt-l a line; Ctrl-] hides it; Alt-\\ asks for several lines.
"""
HELIX = """# In ~/.config/helix/languages.toml; completions appear in the menu:
[language-server.septet]
command = {program}
args = {arguments}

[[language]]
name = "python"
language-servers = ["septet", "pylsp"]
"""
EMACS = """;; In init.el, for Emacs 29 or later; M-x completion-at-point shows completions, corfu automatically:
(with-eval-after-load 'eglot
  (add-to-list 'eglot-server-programs '((python-mode python-ts-mode) . ({words}))))
(add-hook 'python-mode-hook #'eglot-ensure)
"""
EDITORS = ("neovim", "vscode", "helix", "emacs")


def setup(editor: str, command: list[str]) -> str:
    """The text to paste; for VS Code, writes the extension to the working folder and returns the command to run."""
    if editor not in EDITORS:
        raise Refusal(f"--setup {editor}: expected one of {', '.join(EDITORS)}")
    if editor == "neovim":
        words = "{ " + ", ".join(json.dumps(word, ensure_ascii=False) for word in command) + " }"
        return NEOVIM.format(folder=FILES, command=words)
    if editor == "helix":
        return HELIX.format(program=json.dumps(command[0]), arguments=json.dumps(command[1:]))
    if editor == "emacs":
        return EMACS.format(words=" ".join(json.dumps(word) for word in command))
    write(Path(VSIX), extension(command))
    return f"Made {VSIX}.\nNext: code --install-extension {VSIX}"


def extension(command: list[str]) -> bytes:
    """The VS Code extension as a .vsix, a zip file; it starts the server with `command`."""
    texts = {path.name: path.read_text() for path in (FILES / "vscode").iterdir() if path.is_file()}
    package = json.loads(texts["package.json"])
    package["contributes"]["configuration"]["properties"]["septet.command"]["default"] = command
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        told = texts["extension.vsixmanifest"].format(**package, engine=package["engines"]["vscode"])
        archive.writestr("extension.vsixmanifest", told)
        archive.writestr("[Content_Types].xml", texts["content_types.xml"])
        archive.writestr("extension/package.json", json.dumps(package, indent=2))
        archive.writestr("extension/extension.js", texts["extension.js"])
    return content.getvalue()
