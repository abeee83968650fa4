"""Pinned packages that starters are trained on, downloaded by their registries' own clients and checked by hash."""

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from septet.space import Refusal

ICONS = {
    "tabler": (
        "npm:@iconify-json/tabler",
        "1.2.41",
        "3bf99af156d28d05568aff524a35ed1ba238df640a7835a5e02e1f8e439685f6",
    ),
    "lucide": (
        "npm:@iconify-json/lucide",
        "1.2.137",
        "e74db8c3a55fff55bc82de21268c4bced9f65ff10aacc0d5f3a395b0e93243c3",
    ),
    "mdi": ("npm:@iconify-json/mdi", "1.2.3", "ddd817a7213f91de51147943915c0cda8c8b818a53c92b5c068cfa9883c6d7ac"),
    "material-symbols": (
        "npm:@iconify-json/material-symbols",
        "1.2.98",
        "142d50bf28e7db85362795be335ebc29dac611d73c404fc1e6fc5cc198e2b3d0",
    ),
    "fluent": (
        "npm:@iconify-json/fluent",
        "1.2.60",
        "9a7cad7adb15288c1fd5e2e1835f1b17f2a8764bb1f31971bffa7c9df1349d6d",
    ),
    "ph": ("npm:@iconify-json/ph", "1.2.2", "e3a582a047d9829fc7e8842c660d8065e598d1b68bb58cb68e75a1f1e5a614cc"),
    "heroicons": (
        "npm:@iconify-json/heroicons",
        "1.2.3",
        "5d9e7a61b36fb8f2444727807aca55bf613924bbb7d47fea408b7a9ea90ce2fb",
    ),
    "iconoir": (
        "npm:@iconify-json/iconoir",
        "1.2.11",
        "8e5d3bfbd55aa8ef3878f0c2f248cf71fe99822172fd07990e32ab7fe7a68b1e",
    ),
    "octicon": (
        "npm:@iconify-json/octicon",
        "1.2.36",
        "dc4228eb904ed1d16f7b00de3148bc9f3a5c70fad201e64dd1c01d68a82351d5",
    ),
    "carbon": (
        "npm:@iconify-json/carbon",
        "1.2.29",
        "8e3059dc90933875439c29ff36ae4370767bc02d8beca6923b1f2bb856cf327a",
    ),
    "bi": ("npm:@iconify-json/bi", "1.2.7", "86a7f213711c929169dbcd64318cd678a0845385156fc707401ba07cbde4da0d"),
    "pixelarticons": (
        "npm:@iconify-json/pixelarticons",
        "1.2.9",
        "f3e7c9b8ae9fb75f214207d5657e7a75084f9f368ea9d6cbfb211fa96d8978fb",
    ),
}
TAGS = {  # by set: the file that lists search words of icons, and its archive
    "tabler": (
        "package/icons.json",
        ("npm:@tabler/icons", "3.52.0", "626620c7d42afd2f294fba167ce4653b5cb946336d186b4991c70b700e5616af"),
    ),
    "lucide": (
        "package/tags.json",
        ("npm:lucide-static", "1.62.0", "386f9080c440d6f5049cefe3456ae8357f7a0c7f76e59670cd1cb83bc7050a44"),
    ),
    "ph": (
        "py_phosphor_icons/search/metadata.json",
        ("pip:py-phosphor-icons", "0.1.1", "ab7e0636f012b887b95b246ca142e8612c868363bbfcd6a4a282c83ef4164420"),
    ),
    "carbon": (
        "package/metadata.json",
        ("npm:@carbon/icons", "11.89.0", "0700c375e42de275bd3f25e4d19966fa03f37d53b1e9f92055cb94b6ee4dd0b7"),
    ),
}
CLIENTS = {
    "npm": lambda name, version: ["npm", "pack", "--silent", f"{name}@{version}"],
    "pip": lambda name, version: ["pip", "download", "--no-deps", "--quiet", f"{name}=={version}"],
    "apt": lambda name, version: ["apt-get", "download", f"{name}={version}"],
}


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(name: str, version: str, sha256: str, folder: Path) -> Path:
    """The archive of the package "npm:NAME", "pip:NAME" or "apt:NAME", from `folder` or downloaded to it."""
    kind, _, package = name.partition(":")
    if kind not in CLIENTS or not package:
        raise Refusal(f"{name!r}: a package is named npm:NAME, pip:NAME or apt:NAME")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob(f"*{version}*")):
        if path.is_file() and _hash(path) == sha256:
            return path
    with tempfile.TemporaryDirectory(dir=folder) as place:
        command = CLIENTS[kind](package, version)
        try:
            subprocess.run(command, cwd=place, check=True, capture_output=True, text=True, timeout=600)
        except FileNotFoundError:
            raise Refusal(f"{command[0]} is needed to download {package} {version}: install it") from None
        except subprocess.TimeoutExpired:
            raise Refusal(f"{' '.join(command)} took over 600 seconds: try again") from None
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip() or error.stdout.strip() or "no message").splitlines()[-1]
            raise Refusal(f"{' '.join(command)} failed: {last}") from None
        found = [path for path in Path(place).iterdir() if path.is_file()]
        if len(found) != 1 or _hash(found[0]) != sha256:
            what = f"SHA-256 {_hash(found[0])}" if len(found) == 1 else f"{len(found)} files"
            raise Refusal(f"{package} {version}: the registry sent {what}, expected SHA-256 {sha256}")
        return Path(shutil.move(found[0], folder / found[0].name))
