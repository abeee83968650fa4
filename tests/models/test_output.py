"""An output is saved with its record under a name that was free, whole or not at all."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import Dot

from septet.modalities.image import Image as Picture
from septet.modalities.text import Text
from septet.output import Output, Outputs, record
from septet.space import Refusal

HERE = Path(__file__).parent


def dot(seed: int = 7, datum: object = "red", model: str = "icons") -> Output:
    return Output(datum, record(model, "0123", "a dot", seed, {"steps": 3, "seconds": 0.25}), Dot())


def red() -> Image.Image:
    return Image.new("RGBA", (8, 8), "red")


def test_the_record_says_how_to_draw_it_again():
    made = dot().record
    assert {key: made[key] for key in ("model", "model_sha256", "prompt", "seed", "seconds")} == {
        "model": "icons",
        "model_sha256": "0123",
        "prompt": "a dot",
        "seed": 7,
        "seconds": 0.25,
    }
    assert set(made["settings"]) == {"steps", "threads", "torch", "cpu"} and made["settings"]["threads"] == 1
    assert made["created"].endswith("+00:00") and made["septet"]


def test_free_names_are_taken_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    paths = [dot().save() for _ in range(3)]
    assert paths == [Path("made/icons-7.png"), Path("made/icons-7-2.png"), Path("made/icons-7-3.png")]
    assert len(list(Path("made").iterdir())) == 6  # each with its record beside it
    Path("made/icons-8.png.json").write_text("kept")
    assert dot(8).save() == Path("made/icons-8-2.png") and Path("made/icons-8.png.json").read_text() == "kept"


def test_nothing_is_overwritten(tmp_path: Path):
    (tmp_path / "a.png").write_text("mine")
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere")
    for name in ("a.png", "a", "b.png"):
        with pytest.raises(Refusal, match=r"\.png exists and is never overwritten"):
            dot().save(tmp_path / name)
    assert (tmp_path / "a.png").read_text() == "mine" and len(list(tmp_path.iterdir())) == 2


def test_a_path_may_be_a_folder_or_lack_its_suffix(tmp_path: Path):
    assert dot().save(tmp_path) == tmp_path / "icons-7.png"
    assert dot().save(tmp_path / "deep" / "apple") == tmp_path / "deep" / "apple.png"
    assert (tmp_path / "deep" / "apple.png.json").read_text() == "7"
    assert dot(model="../my model/").save(tmp_path).name == "my-model-7.png"


def test_a_full_disk_leaves_no_part_of_a_file(tmp_path: Path):
    code = f"""
import resource, sys
sys.path.insert(0, {str(HERE)!r})
from test_output import dot
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try: dot(datum="x" * 30_000).save(sys.argv[1] + "/a.txt")
except ValueError as error: print(error)
"""
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert f"cannot write {tmp_path}/a.txt: File too large; free some space" in run.stdout, run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_while_writing_leaves_nothing(tmp_path: Path):
    class Fussy(Dot):
        def write(self, datum, path, record):
            path.write_text("half")
            raise Refusal("not this one")

    with pytest.raises(Refusal, match="not this one"):
        Output("red", {"seed": 1}, Fussy()).save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_name_taken_meanwhile_is_left_alone(tmp_path: Path):
    class Slow(Dot):
        def write(self, datum, path, record):
            (tmp_path / "a.png").write_text("mine")
            super().write(datum, path, record)

    with pytest.raises(Refusal, match="exists and is never overwritten"):
        Output("red", {"seed": 1}, Slow()).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


def test_it_shows_itself():
    text = Output("<b>hello</b>", {"seed": 1}, Text())
    assert text.text == "<b>hello</b>" and text._repr_png_() is None
    assert "&lt;b&gt;hello" in text._repr_html_() and "<b>" not in text._repr_html_()
    picture = dot(datum=red())
    assert picture.image is picture.datum
    assert dot(datum=(255, 0, 0))._repr_html_().startswith('<img src="data:image/png;base64,')
    assert (picture._repr_png_() or b"").startswith(b"\x89PNG")
    assert Output(np.zeros((4, 5, 1), np.uint8), {"seed": 1}, Picture()).image.size == (5, 4)
    assert dot(datum=(255, 0, 0)).image.size == (512, 512)
    with pytest.raises(Refusal, match="this output is dot, not text"):
        _ = picture.text


class Levels(Dot):
    """uint8 (1, 3): bytes in two axes that are no picture."""

    def preview(self, datum, size: int = 128) -> Image.Image:
        return super().preview(tuple(datum[0].tolist()), size)


def test_bytes_that_are_no_picture_are_shown_by_their_preview():
    output = Output(np.array([[255, 0, 0]], np.uint8), {"seed": 1}, Levels())
    assert output.image.size == (512, 512) and output.image.getpixel((0, 0)) == (255, 0, 0, 255)


def test_a_sheet_shows_each_output():
    outputs = Outputs([dot(n, datum=colour) for n, colour in enumerate(["red", "lime", "blue"])])
    sheet = outputs.sheet(size=16)
    assert sheet.size == (35, 35)
    assert [sheet.getpixel(at) for at in ((9, 9), (26, 9), (9, 26), (26, 26))] == [
        (255, 0, 0, 255),
        (0, 255, 0, 255),
        (0, 0, 255, 255),
        (255, 255, 255, 255),
    ]
    assert outputs.sheet(size=16, columns=3).size == (52, 18)
    with pytest.raises(Refusal, match="at least one"):
        Outputs().sheet()
    assert Outputs()._repr_png_() is None


def test_outputs_are_saved_together(tmp_path: Path):
    paths = Outputs([dot(1), dot(2), dot(2)]).save(tmp_path / "new")
    assert [path.name for path in paths] == ["icons-1.png", "icons-2.png", "icons-2-2.png"]
