"""Source code: a datum is the content of a file."""

from collections import Counter
from pathlib import Path
from typing import Any

from ..space import Refusal
from .secrets import without_secrets
from .text import Text

LONGEST_BYTES = 5_000_000
LONGEST_LINE = 10_000  # characters; with longer lines, a file counts as generated
LANGUAGES = {
    "Python": ".py .pyi",
    "JavaScript": ".js .mjs .cjs .jsx",
    "TypeScript": ".ts .mts .tsx",
    "C and C++": ".c .h .cc .cpp .cxx .hpp .hh .ino",
    "the JVM's": ".java .kt .kts .scala .groovy .clj",
    "C#, F#": ".cs .fs",
    "Go, Rust, Zig, D, Nim": ".go .rs .zig .d .nim",
    "Ruby, PHP, Perl, Lua": ".rb .php .pl .pm .lua",
    "Swift, Dart": ".swift .dart",
    "Haskell, OCaml, Elixir, Erlang": ".hs .ml .mli .ex .exs .erl",
    "Lisp": ".el .lisp .scm",
    "R, Julia, Fortran": ".r .jl .f90",
    "shell": ".sh .bash .zsh .fish .ps1",
    "the web": ".html .css .scss .vue .svelte",
    "others": ".sql .vim .tcl .proto .graphql .tf .cmake .gradle .v .sv .vhd .gd .glsl .sol",
}
EXTENSIONS = tuple(" ".join(LANGUAGES.values()).split())


class File(str):
    """The content of a file whose name is known."""

    name: str

    def __new__(cls, content: str, name: str):
        file = super().__new__(cls, content)
        file.name = name
        return file


class Code(Text):
    """Source code, without lines that contain secrets; generated code is written to files with this `extension`."""

    name = "code"
    extensions = EXTENSIONS
    tracked = True

    def __init__(self, extension: str = ".py"):
        super().__init__()
        self.extension = extension
        self.suffixes = (extension, *(other for other in (*EXTENSIONS, ".txt") if other != extension))

    @classmethod
    def tiny(cls) -> "Code":
        return cls()

    def like(self, sources: list[str]) -> "Code":
        """This modality with the most common extension of these source files."""
        common = Counter(Path(source.partition("#")[0]).suffix.lower() for source in sources).most_common(1)
        return Code(common[0][0]) if common and common[0][0] in EXTENSIONS else self

    def read(self, path: Path) -> str:
        path = Path(path)
        if path.is_file() and path.stat().st_size > LONGEST_BYTES:
            size = path.stat().st_size
            raise Refusal(f"{path}: {size:,} bytes are too large for source code: expected at most {LONGEST_BYTES:,}")
        text = super().read(path)
        longest = max(map(len, text.split("\n")))
        if longest > LONGEST_LINE:
            raise Refusal(f"{path}: a line of {longest:,} characters, so it is taken for generated code and skipped")
        return File(text, path.name)

    def pieces(self, datum: str) -> list[tuple[str, tuple[str, ...]]]:
        """The file without the lines that contain secrets."""
        kept = without_secrets(datum, datum.name if isinstance(datum, File) else "")
        remarks = () if len(kept) == len(datum) else ("without lines that contained a secret",)
        return [(kept, remarks)] if kept.strip() else []

    def extent(self, datum: Any) -> dict[str, float]:
        return {"characters": len(datum), "lines": datum.count("\n") + 1}
