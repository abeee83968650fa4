"""Tunes: one datum is a line of notes, a string with a caption, whose copies are told by spans."""

import json

from septet.contracts import Modality
from septet.modalities.text import Text
from septet.storage import whole


class OddTune(Modality):
    """Notes."""

    name, extensions, suffixes, compares_spans = "odd_tune", (".abc",), (".abc",), True

    @classmethod
    def tiny(cls):
        return cls()

    def read(self, path):
        return Text().read(path).partition("\n%record ")[0]

    def write(self, datum, path, record):
        whole.write(path, f"{datum}\n%record {json.dumps(record)}".encode())

    def record(self, path):
        told = Text().read(path).partition("\n%record ")[2]
        return json.loads(told) if told else None

    def preview(self, datum, size=128):
        return Text().preview(datum, size)

    def features(self, data):
        return Text().features(data)
