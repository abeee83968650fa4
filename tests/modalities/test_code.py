"""Source code: secrets never get in, what is no source is refused, files keep their kind."""

import numpy as np
import pytest

from septet.data.dataset import read
from septet.modalities.code import LONGEST_BYTES, Code
from septet.modalities.secrets import holds_secret, without_secrets
from septet.space import Refusal

KEYS = {  # made up, in the shapes of real ones
    "AWS": 'KEY = "AKIA' + "QZX5TVN2LMWR7BYC" + '"',
    "GitHub": 'token = "ghp_' + "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5" + '"',
    "Stripe": 'stripe.key = "sk_live_' + "4eC39HqLyjWDarjtT1zdp7dcQZ" + '"',
    "Slack": 'hook = "xoxb-123456789012-1234567890123-' + "AbCdEfGhIjKlMnOpQrStUvWx" + '"',
    "a password": 'password = "correct-horse-battery"',
    "a URL": 'db = "postgres://me:pa55w0rd@db.example/boats"',
    "random letters": 'salt = "' + "qX7vB2mK9sT4wZ8nL5cJ3hF6gD1pR0yA" + '"',
    "a token": 'token = "tk-0192-harbour-gate"',
    "a pass phrase": 'passphrase = "correct-horse-battery"',
    "a definition": '#define DB_PASSWORD "correct-horse"',
    "hexadecimal": 'signed = "' + "9a0364b9e99bb480dd25e1f0284c8555" + '"',
}
HARMLESS = [
    'password = os.environ["PASSWORD"]',
    "def token_of(self, key=None):",
    'print("The quick brown fox jumps over the lazy dog.")',
    "from a.very.long.module.path.of.some.package import a_function_with_a_long_name",
    'token = "["',
    'raise KeyError("no such key in the table of tokens")',
    'url = "https://example.org/a/page/with/a/long/path.html"',
]


@pytest.mark.parametrize("kind", KEYS)
def test_a_line_with_a_secret_is_left_out(kind):
    assert holds_secret(KEYS[kind])
    text = f"a = 1\n{KEYS[kind]}\nb = 2\n"
    assert without_secrets(text, "settings.py") == "a = 1\nb = 2\n"


@pytest.mark.parametrize("line", HARMLESS)
def test_a_harmless_line_stays(line):
    assert without_secrets(line, "a.py") == line


def test_a_value_in_the_next_line_and_one_without_quotes_are_found():
    assert without_secrets('password = (\n    "correct-horse-battery"\n)\nx = 1') == "password = (\n)\nx = 1"
    assert without_secrets("export DB_PASSWORD=correct-horse\nls", "run.sh") == "ls"
    assert without_secrets("token = find(key)\nls", "run.py") == "token = find(key)\nls"


def test_a_private_key_goes_whole():
    body = "MIIEowIBAAKCAQEAsomething\nplain words\n"
    key = f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----"
    assert without_secrets(f'a = 1\nKEY = """{key}"""\nb = 2') == "a = 1\nb = 2"
    begun = 'if text.startswith("-----BEGIN RSA PRIVATE KEY-----"):'
    assert without_secrets(f"{begun}\n    boats = 1\n") == "    boats = 1\n"


def test_a_folder_of_code_is_read_without_secrets_and_what_git_ignores(tmp_path):
    (tmp_path / "package" / "build").mkdir(parents=True)
    (tmp_path / ".gitignore").write_text("build/\n*.gen.py\n")
    for number in range(12):
        (tmp_path / "package" / f"m{number}.py").write_text(f"def function_{number}():\n    return {number}\n" * 9)
    (tmp_path / "package" / "keys.py").write_text("\n".join(KEYS.values()) + "\nboats = 3\n")
    (tmp_path / "package" / "build" / "copy.py").write_text("ignored = 1\n")
    (tmp_path / "package" / "made.gen.py").write_text("ignored = 2\n")
    (tmp_path / "package" / "notes.txt").write_text("no code\n")
    (tmp_path / "package" / "binary.py").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "package" / "large.py").write_bytes(b"x = 1\n" * (LONGEST_BYTES // 5))
    (tmp_path / "package" / "minified.js").write_text("var a=1;" * 5000)
    dataset = read(tmp_path, Code())
    texts = {item.source: item.datum for item in dataset}
    assert len(texts) == 13 and not any("ignored" in text for text in texts.values())
    assert texts["package/keys.py"].strip() == "boats = 3"
    told = " ".join(dataset.report)
    assert "1 is without lines that contained a secret" in told
    assert "binary.py: contains binary data, not text" in told
    assert f"large.py: {len(b'x = 1' * 1) + 1:,}"[:9] in told and "too large for source code" in told
    assert "minified.js: a line of 40,000 characters, so it is taken for generated code" in told


def test_it_is_written_as_most_files_are():
    assert Code().like(["a.rs", "b.rs", "c.py"]).suffixes[0] == ".rs"
    assert Code().like(["a.txt"]).suffixes[0] == ".py"


def test_a_large_file_is_refused_before_it_is_read(tmp_path):
    large = tmp_path / "large.py"
    with open(large, "wb") as file:
        file.truncate(50_000_000)
    with pytest.raises(Refusal, match="50,000,000 bytes are too large for source code"):
        Code().read(large)


def test_twenty_planted_keys_never_get_into_training(tmp_path):
    stream, letters = np.random.default_rng(0), list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    keys = ["".join(stream.choice(letters, 32)) for _ in range(20)]
    for number, key in enumerate(keys):
        (tmp_path / f"f{number}.py").write_text(f'boats = {number}\napi_key = "{key}"\n' * 3)
    held = "".join(item.datum for item in read(tmp_path, Code()))
    assert not any(key in held for key in keys)
