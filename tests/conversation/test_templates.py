"""Chat templates make one text of a conversation, and can do nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from septet.modalities import chat_template
from septet.modalities.text import Text
from septet.part import Asset, build, describe
from septet.space import Refusal

SMOLLM = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are helpful<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SAID = [{"role": "user", "content": "Hi {{ 7 * 7 }}"}]


def test_a_published_template_is_rendered_as_its_authors_meant():
    assert chat_template.rendered(SMOLLM, [(SAID, True)], {})[0] == (
        "<|im_start|>system\nYou are helpful<|im_end|>\n<|im_start|>user\nHi {{ 7 * 7 }}<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert not chat_template.rendered(SMOLLM, [(SAID, False)], {})[0].endswith("assistant\n")


def test_words_loop_controls_and_helpers_are_there():
    template = "{{ bos_token }}{% for m in messages %}{% if loop.index > 1 %}{% break %}{% endif %}"
    template += "{{ m | tojson }}{% endfor %}"
    said = '<s>{"role": "user", "content": "Hi {{ 7 * 7 }}"}'
    assert chat_template.rendered(template, [(SAID * 3, True)], {"bos_token": "<s>"}) == [said]


def test_half_a_character_becomes_a_question_mark():
    assert chat_template.rendered("{{ '\\ud800' }}", [([], False)], {}) == ["?"]


def test_the_bound_on_a_text_is_one_on_each():
    template, third = "{{ messages[0]['content'] }}", chat_template.TEXT_BYTES // 3
    said = [([{"role": "user", "content": "a" * third}], True)] * 4
    assert [len(text) for text in chat_template.rendered(template, said, {})] == [third] * 4


@pytest.mark.hostile
@pytest.mark.parametrize(
    "template, said",
    [
        ("{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}", "took over .* stopped"),
        ("{{ 'a' * 10 ** 10 }}", "memory"),
        ("{% for i in range(99999) %}{{ 'a' * 100 }}{% endfor %}", "longer than"),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError|unsafe"),
        ("{{ messages.append(1) }}", "SecurityError|unsafe"),
        ("{% include '/etc/passwd' %}", "failed"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{% if %}", "TemplateSyntaxError"),
    ],
)
def test_a_hostile_template_is_stopped_in_a_sentence(template: str, said: str):
    with pytest.raises(Refusal, match=said) as refused:
        chat_template.rendered(template, [(SAID, True)], {})
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_the_processor_time_of_a_template_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch):
    """It would end by itself, later: what stops it is its own time, however long a busy machine takes to give it."""
    monkeypatch.setattr(chat_template, "PATIENCE_SECONDS", 3600)
    template = (
        "{% for i in range(2000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}{{ raise_exception('end') }}"
    )
    with pytest.raises(Refusal, match=f"took over {chat_template.SECONDS} seconds and was stopped; use another"):
        chat_template.rendered(template, [(SAID, True)], {})


def test_a_templates_process_is_limited(tmp_path: Path):
    code = f"""
import pathlib, resource, runpy
runpy.run_path({chat_template.__file__!r})["_limit"]()
print([resource.getrlimit(getattr(resource, f"RLIMIT_{{name}}")) for name in ("AS", "CPU", "FSIZE", "NPROC")])
pathlib.Path("written").write_text("x")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    memory, seconds = chat_template.MEMORY_BYTES, chat_template.SECONDS
    assert run.stdout == f"{[(memory, memory), (seconds, seconds + 1), (0, 0), (0, 0)]}\n", run.stderr
    assert "File too large" in run.stderr and not (tmp_path / "written").read_bytes()


def test_a_template_travels_with_the_model():
    text = Text(Asset("chat_template.jinja", SMOLLM), {"eos_token": "<|im_end|>"})
    tree = describe(text)
    again = build(tree, lambda name: Text, {"chat_template.jinja": SMOLLM}.__getitem__)
    assert again.conversation(SAID) == text.conversation(SAID)


def test_without_a_template_there_is_no_conversation():
    with pytest.raises(Refusal, match="is not a chat model"):
        Text().conversation(SAID)
