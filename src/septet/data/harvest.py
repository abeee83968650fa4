"""Collects items while they are read: pieces, exact duplicates, and what could not be read."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..conditioners.prompts import fitted
from ..contracts import Modality, Prompt
from ..modalities.digests import digest
from ..space import Refusal
from .duplicates import signature
from .sources import Entry
from .store import Store


@dataclass
class Harvest:
    """The items read so far."""

    modality: Modality
    store: Store
    contents: Mapping[str, Modality]
    prompts: list[Prompt] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    place_of: dict[bytes, int] = field(default_factory=dict)  # index of an item by the digest of its content
    signatures: list[np.ndarray] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    copies: list[tuple[str, str]] = field(default_factory=list)
    extents: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    digests: list[bytes] = field(default_factory=list)  # of each datum without its prompt
    entries = empty = 0

    def _prompt(self, prompt: Prompt) -> Any:
        """Reads the content of a prompt."""
        if not self.contents or not isinstance(prompt, Mapping):
            return prompt
        paths = {name: value for name, value in prompt.items() if name in self.contents and isinstance(value, Path)}
        return fitted([{**prompt, **{n: self.contents[n].read(p) for n, p in paths.items()}}], self.contents)[0]

    def add(self, entry: Entry) -> None:
        self.entries += 1
        try:
            whole = entry.load()
            pieces = self.modality.pieces(whole)
            prompt = self._prompt(entry.prompt)
        except Refusal as error:
            self.skipped.append(f"{entry.source}: {str(error).rpartition(entry.source + ': ')[2]}")
            return
        self.empty += not pieces
        for name, size in self.modality.extent(whole).items():
            self.extents[name].append(size)
        for number, (datum, remarks) in enumerate(pieces):
            own, named = digest(datum), prompt if isinstance(prompt, Mapping) else {}
            given = {name: named[name] for name in self.contents if name in named}
            key = own + digest(given) if given else own  # the same datum with other content is not a duplicate
            if key in self.place_of:
                place = self.place_of[key]
                self.copies.append((entry.source, self.sources[place]))
                self.prompts[place] = self.prompts[place] or prompt
                continue
            self.place_of[key] = len(self.prompts)
            self.store.append(datum)
            self.prompts.append(prompt)
            self.digests.append(own)
            self.sources.append(entry.source if len(pieces) == 1 else f"{entry.source}#{number}")
            self.remarks.update(remarks)
            self.signatures.append(signature(self.modality.shingles(datum)))
