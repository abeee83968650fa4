"""Detects lines of code that contain a secret: a password, an access token, a private key."""

import functools
import re
from typing import Any

NO_SECRETS = ("IPPublicDetector",)  # detectors of things that are not secret
LIKELY = re.compile(
    r"""["'`=]|://|[\w+/.~-]{16}|pass|pwd|secret|token|key""", re.IGNORECASE
)  # other lines are skipped, for speed
BARE = (".sh", ".bash", ".zsh", ".fish", ".ini", ".env", ".ps1", ".tf")  # files whose values need no quotes
QUOTED, UNQUOTED = "a.py", "a.ini"  # file names, from which the detectors infer whether values are quoted
NAMED = re.compile(
    r"""(pass_?(word|phrase)|passwd|secret|token|api_?key)\w*["']?\s*[:=(]?\s*["'][^"'\s]{8,}["']""", re.I
)
GOES_ON = re.compile(r"""(=|:|\()\s*$""")  # a line whose value is in the next line
BLOCK = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY.*?-----END [A-Z ]*PRIVATE KEY[^\n]*", re.DOTALL)
REMEMBERED = 1 << 16  # lines


@functools.cache
def _detectors() -> list[Any]:
    """The detectors of detect-secrets: keys of known services, passwords by variable name, strings of high entropy."""
    from detect_secrets.core.plugins import initialize
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    names = [kind.__name__ for kind in get_mapping_from_secret_type_to_class().values()]
    return [initialize.from_plugin_classname(name) for name in sorted(names) if name not in NO_SECRETS]


@functools.lru_cache(REMEMBERED)
def holds_secret(line: str, bare: bool = False) -> bool:
    """Whether a line contains a secret; in `bare` files values need no quotes."""
    if not LIKELY.search(line):
        return False
    if NAMED.search(line):
        return True
    name = UNQUOTED if bare else QUOTED
    return any(detector.analyze_line(filename=name, line=line, line_number=1) for detector in _detectors())


def without_secrets(text: str, name: str = "") -> str:
    """Removes the lines that contain a secret, and all lines of private keys. `name` is the file's name."""
    bare, lines = name.lower().endswith(BARE), text.split("\n")
    out = set()
    for found in BLOCK.finditer(text):
        first = text.count("\n", 0, found.start())
        out |= set(range(first, first + found.group().count("\n") + 1))
    for number, line in enumerate(lines):
        if number not in out and holds_secret(line, bare):
            out.add(number)
            continue
        following = lines[number + 1].strip() if number + 1 < len(lines) and GOES_ON.search(line) else ""
        if following and holds_secret(f"{line.rstrip(' (')} {following}", bare):
            out.add(number + 1)
    return "\n".join(line for number, line in enumerate(lines) if number not in out)
