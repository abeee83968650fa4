"""What an audit says in words."""

from septet.cli import reports


def test_precision_is_told_as_what_it_is_and_never_as_looking_real():
    found = {"coverage": 0.46, "precision": 0.98}
    floor = {"coverage": 0.97, "precision": 0.93}
    figures = {"fidelity": {"generated": found, "floor": floor, "floor_from": "held-out data"}}
    rest = {"originality": {"refused": "too few"}, "drawn": 9, "likelihood": None}
    _, told = reports.sentences(rest | figures)
    assert "look real" not in told.replace("Whether they look real is not measured.", "")
    assert "98% of outputs lie among the training data (precision; held-out data 93%)" in told
    assert "cover 46% of the training data (coverage; held-out data 97%)" in told and "own fixed features" in told
