"""The request bodies of the API, with bounds for every field. Unknown fields are ignored, as in OpenAI's API."""

import secrets
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..text_inference.conversation import REPLY

CHARACTERS = 200_000  # most of a text
MOST_TOKENS = 8192  # most of an answer
CHOICES = 8
STOPS = 16
SEEDS = 2**62
LEAST = 1e-9  # of top_p: only the most probable token


def none_for(*values: int) -> BeforeValidator:
    """Converts these numbers, which clients send for "no limit" or "default", to None."""
    return BeforeValidator(lambda value: None if value in values else value)


Prompt = Annotated[str, Field(max_length=10_000)]
Text = Annotated[str, Field(max_length=CHARACTERS)]
Word = Annotated[str, Field(min_length=1, max_length=200)]
Number = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
Tokens = Annotated[Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None, none_for(-1)]  # None: as many as fit
Seed = Annotated[Annotated[int, Field(ge=0, lt=SEEDS)] | None, none_for(-1)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def seed_of(given: int | None) -> int:
    """The given seed, or a random one."""
    return secrets.randbelow(SEEDS) if given is None else given


class Body(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False)

    model: Annotated[str, Field(max_length=300)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _given(cls, data: Any) -> Any:
        """Null is the same as an omitted field."""
        return {name: value for name, value in data.items() if value is not None} if isinstance(data, dict) else data


class Schema(BaseModel):
    """A JSON schema; clients name the field `schema`."""

    model_config = ConfigDict(populate_by_name=True)
    content: dict[str, Any] = Field(alias="schema")


class Format(BaseModel):
    """`json_schema` is as in OpenAI's API; `regex` is septet's."""

    type: Literal["text", "json_object", "json_schema", "regex"] = "text"
    json_schema: Schema | None = None
    regex: Annotated[str, Field(max_length=10_000)] | None = None


class StreamOptions(BaseModel):
    include_usage: bool = False


class Sampling(Body):
    """Sampling settings of a text."""

    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[Share, AfterValidator(lambda share: max(share, LEAST))] | None = None
    top_k: Annotated[Annotated[int, Field(ge=1, le=1_000_000)] | None, none_for(0, -1)] = None
    min_p: Annotated[Share | None, none_for(0)] = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = None
    logit_bias: Annotated[dict[str, Number], Field(max_length=1000)] | None = None
    seed: Seed = None
    n: Annotated[int, Field(ge=1, le=CHOICES)] = 1
    stop: Word | Annotated[list[Word], Field(max_length=STOPS)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    response_format: Format | None = None
    tools: Annotated[list[Any], Field(max_length=0)] = []  # not supported
    functions: Annotated[list[Any], Field(max_length=0)] = []

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def settings(self) -> dict[str, Any]:
        names = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty")
        return {n: v for n in (*names, "repetition_penalty") if (v := getattr(self, n)) is not None}


class Part(BaseModel):
    type: Literal["text"]
    text: Text


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: Text | Annotated[list[Part], Field(max_length=100)]

    @property
    def plain(self) -> dict[str, str]:
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": content}


class Chat(Sampling):
    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]
    max_tokens: Tokens = REPLY
    max_completion_tokens: Tokens = REPLY
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=20)] = 0

    @property
    def length(self) -> int | None:
        """The maximum number of tokens of the answer; the newer field name takes precedence."""
        names = ("max_completion_tokens", "max_tokens")
        given = [getattr(self, name) for name in names if name in self.model_fields_set]
        return next((length for length in given if length is not None), None if given else REPLY)


class Completion(Sampling):
    prompt: Text | Annotated[list[Text], Field(min_length=1, max_length=CHOICES)] = ""
    suffix: Text | None = None
    max_tokens: Tokens = 64
    echo: bool = False
    best_of: Annotated[int, Field(ge=1, le=1)] = 1
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None


class Extra(BaseModel):
    filename: Annotated[str, Field(max_length=1000)] = ""
    text: Text = ""


class Infill(Sampling):
    """As in llama.cpp's server, for one text."""

    n: Annotated[int, Field(ge=1, le=1)] = 1
    input_prefix: Text = ""
    input_suffix: Text = ""
    input_extra: Annotated[list[Extra], Field(max_length=100)] = []
    prompt: Text = ""
    n_predict: Annotated[Annotated[int, Field(ge=0, le=MOST_TOKENS)] | None, none_for(-1)] = 64


class Embeddings(Body):
    input: Text | Annotated[list[Annotated[str, Field(max_length=20_000)]], Field(min_length=1, max_length=256)]
    dimensions: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    encoding_format: Literal["float", "base64"] = "float"


class Generation(Body):
    prompt: Prompt | Annotated[dict[Word, Prompt], Field(max_length=100)] | None = None
    n: Annotated[int, Field(ge=1, le=CHOICES)] = 1
    seed: Seed = None
    format: Annotated[str, Field(max_length=20)] | None = None


class Images(Body):
    prompt: Prompt
    n: Annotated[int, Field(ge=1, le=CHOICES)] = 1
    size: Annotated[str, Field(max_length=20)] | None = None
    seed: Seed = None
    response_format: Literal["b64_json", "url"] | None = None
