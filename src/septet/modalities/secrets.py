"""Lines of code that hold a secret: a password, a token, a private key."""

import functools
import re
from typing import Any

NO_SECRETS = ("IPPublicDetector",)  # detectors of what is none
LIKELY = re.compile(r"""["'`]|://|[\w+/.~-]{16}|pass|pwd|secret|token|key""", re.IGNORECASE)  # others are not looked at
BLOCK_BEGIN, BLOCK_END = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"), re.compile(r"-----END [A-Z ]*PRIVATE KEY")


@functools.cache
def _detectors() -> list[Any]:
    """Those of detect-secrets: keys of known services, passwords by their names, strings of high entropy."""
    from detect_secrets.core.plugins import initialize
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    names = [kind.__name__ for kind in get_mapping_from_secret_type_to_class().values()]
    return [initialize.from_plugin_classname(name) for name in sorted(names) if name not in NO_SECRETS]


def holds_secret(line: str, name: str = "") -> bool:
    """Whether a line, out of a file of that name, holds one."""
    if not LIKELY.search(line):
        return False
    return any(detector.analyze_line(filename=name, line=line, line_number=1) for detector in _detectors())


def without_secrets(text: str, name: str = "") -> str:
    """A text without the lines that hold one; of a private key, all lines."""
    kept, inside = [], False
    for line in text.split("\n"):
        inside = inside or BLOCK_BEGIN.search(line) is not None
        if not inside and not holds_secret(line, name):
            kept.append(line)
        inside = inside and BLOCK_END.search(line) is None
    return "\n".join(kept)
