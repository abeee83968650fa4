"""Train small generative models on your own files, draw new content with them, and audit what they learned."""

import importlib

__version__ = "0.1.0"

# Public name -> the module that holds it, imported at first use: `import septet` alone stays light.
_HOMES = {
    "Completer": "septet.code_completion",
    "Conversation": "septet.text_inference.conversation",
    "Generator": "septet.generator",
    "Given": "septet.generator",
    "Output": "septet.output",
    "Refusal": "septet.space",
    "embed": "septet.text_inference.embedding",
    "load": "septet.models",
    "nearest": "septet.text_inference.embedding",
    "train": "septet.runs",
    "training": "septet.runs",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'septet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
