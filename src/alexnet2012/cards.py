"""Which GPUs a job may use, told without torch: by CUDA_VISIBLE_DEVICES, else by nvidia-smi."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from alexnet2012.errors import DeviceError

ANSWER_S = 60.0  # a healthy nvidia-smi takes up to a few seconds
VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Card:
    """`name` is nvidia-smi's number, for people. `key` is the UUID, by which a card is the same for all jobs however
    they name it; or what CUDA_VISIBLE_DEVICES calls it, where nvidia-smi cannot tell."""

    name: str
    key: str


def list_cards() -> list[Card]:
    """The cards that a job may use: those of CUDA_VISIBLE_DEVICES if it is set, else all that nvidia-smi lists.

    As in CUDA, numbers are nvidia-smi's, and what follows an entry that names no card does not count. Raises
    DeviceError when nvidia-smi hangs.
    """
    given = os.environ.get(VISIBLE)
    if given is not None and not given.strip():
        return []
    known = ask_nvidia_smi()
    if given is None:
        return known
    found: list[Card] = []
    for text in given.split(","):
        card = identify(text.strip(), known)
        if card is None:
            break
        found.append(card)
    return list(dict.fromkeys(found))


def identify(text: str, known: list[Card]) -> Card | None:
    """The card that an entry of CUDA_VISIBLE_DEVICES means: a number, a UUID or its beginning, or a part of a card."""
    if text.startswith("MIG-"):
        return Card(text, text)
    if text.isdecimal():
        meant = [card for card in known if card.name == str(int(text))]
    elif text.startswith("GPU-"):
        meant = [card for card in known if card.key.startswith(text)]
    else:
        return None
    if not known:
        return Card(text, text)
    return meant[0] if len(meant) == 1 else None


def ask_nvidia_smi() -> list[Card]:
    """All cards of this machine; none where nvidia-smi is missing, or says that it reaches no driver."""
    query = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            query, capture_output=True, encoding="utf-8", errors="replace", timeout=ANSWER_S, check=False
        )
    except OSError:
        return []
    except subprocess.TimeoutExpired:
        raise DeviceError(
            f"nvidia-smi has not answered for {ANSWER_S:g} s; mend the driver, or set runtime: {{device: cpu}}"
        ) from None
    if done.returncode:
        print(f"nvidia-smi failed: {' '.join((done.stdout + done.stderr).split())}", file=sys.stderr, flush=True)
        return []
    rows = [line.split(",") for line in done.stdout.splitlines() if "," in line]
    return [Card(name.strip(), key.strip()) for name, key in rows]


@contextmanager
def visible(cards: list[Card]) -> Iterator[None]:
    """CUDA sees `cards` alone, in their order; it reads the variable once, when torch first asks for a GPU."""
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = ",".join(card.key for card in cards)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VISIBLE]
        else:
            os.environ[VISIBLE] = before
