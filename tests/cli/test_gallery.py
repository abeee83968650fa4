"""septet demo: what the starters make, on a page that opens from the disk."""

import json
import re
from pathlib import Path

import pytest

from septet import models
from septet.cli import main


@pytest.mark.skipif("icons" not in models.starters(), reason="the starter icons is not in this checkout")
def test_the_demo_shows_sixteen_icons_with_their_records(tmp_path: Path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--out", str(tmp_path / "gallery")])
    assert not ended.value.code
    page = (tmp_path / "gallery" / "index.html").read_text()
    shown = re.findall(r'<img src="([^"]+)"', page)
    assert len([name for name in shown if name.endswith(".svg")]) >= 16 and len(set(shown)) == len(shown)
    assert all((tmp_path / "gallery" / name).exists() for name in shown)
    records = re.findall(r"<pre>(\{.*?\})</pre>", page, re.S)
    assert len(records) == len(shown)
    assert json.loads(records[0].replace("&quot;", '"'))["model"] == "icons"
    assert not re.search(r"https?://", page)
    assert "index.html" in capsys.readouterr().out
