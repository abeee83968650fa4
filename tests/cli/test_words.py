"""`name=value` words: the same for options of a recipe and for settings of a draw."""

import pytest

from septet import recipes
from septet.cli.prompts import options_of
from septet.processes.settings import pairs, typed
from septet.space import Refusal


def test_a_value_is_a_whole_number_a_number_or_a_text():
    assert [typed(value) for value in ("12", "-0.5", "1e3", "heun", "")] == [12, -0.5, 1000.0, "heun", ""]
    assert options_of(["steps=4", "solver=heun", "a=b=c"]) == {"steps": 4, "solver": "heun", "a": "b=c"}
    with pytest.raises(Refusal, match="setting 'apple'"):
        options_of(["apple"])


def test_an_option_has_the_type_of_its_default():
    recipe = recipes.find("image_diffusion")
    said = recipes.parsed(recipe, ["size=48", "rate=1", "palette=16", "prompts=labels"])
    assert said == {"size": 48, "rate": 1.0, "palette": 16, "prompts": "labels"} and type(said["rate"]) is float
    for word in ("size=4.5", "size=big", "rate=high", "sizes=4", "size"):
        with pytest.raises(Refusal, match="^" + word.partition("=")[0] + "|^option"):
            recipes.parsed(recipe, [word])
    assert pairs(["a=1"], str) == {"a": "1"}
