import pytest
from fake_gpus import uuid_of, write_nvidia_smi, write_program

from alexnet2012 import cards
from alexnet2012.cards import Card, list_cards
from alexnet2012.errors import DeviceError

THREE = [Card(str(number), uuid_of(number)) for number in range(3)]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """machine(visible) is a machine of three GPUs; with `program` it has that nvidia-smi, or with "" none."""

    def make(visible: str | None, program: str | None = None) -> None:
        if program is None:
            write_nvidia_smi(tmp_path, 3)
        elif program:
            write_program(tmp_path, program)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin" if program != "" else str(tmp_path))
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return make


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [
        (None, [0, 1, 2]),
        ("", []),
        (" ", []),
        ("2,0", [2, 0]),
        (" 1 , 2 ", [1, 2]),
        ("1,1", [1]),
        (f"{uuid_of(2)},0", [2, 0]),
        ("GPU-00000001,1", [1]),  # a UUID's beginning, and the same card by its number
        ("-1", []),
        ("0,-1,1", [0]),  # as in CUDA's manual
        ("0,3,1", [0]),
        ("NoDevFiles", []),
        ("GPU-0000000,0", []),  # the beginning of all three
        ("GPU-ffff,0", []),
    ],
)
def test_cards_are_those_that_cuda_would_see(machine, visible, numbers):
    machine(visible)
    assert list_cards() == [THREE[number] for number in numbers]


def test_a_part_of_a_card_is_taken_as_it_is_written(machine):
    machine("MIG-GPU-00000001/1/0,MIG-0123")
    assert [card.key for card in list_cards()] == ["MIG-GPU-00000001/1/0", "MIG-0123"]


@pytest.mark.parametrize(
    ("visible", "keys"), [(None, []), ("3,1", ["3", "1"]), ("GPU-ab,0", ["GPU-ab", "0"]), ("0,-1,1", ["0"])]
)
def test_without_nvidia_smi_cards_are_as_they_are_written(machine, visible, keys):
    machine(visible, program="")
    assert [card.key for card in list_cards()] == keys


def test_without_a_driver_there_is_no_card_and_the_reason_is_said(machine, capsys):
    machine(None, program="echo NVIDIA-SMI has failed\necho to communicate with the driver\nexit 9\n")
    assert list_cards() == []
    assert capsys.readouterr().err == "nvidia-smi failed: NVIDIA-SMI has failed to communicate with the driver\n"


def test_words_between_the_rows_are_no_card(machine):
    machine(None, program='echo "No devices were found"\n')
    assert list_cards() == []


def test_an_nvidia_smi_that_hangs_is_an_error(machine, monkeypatch):
    monkeypatch.setattr(cards, "ANSWER_S", 0.1)
    machine(None, program="exec sleep 5\n")
    with pytest.raises(DeviceError, match=r"nvidia-smi has not answered for 0\.1 s; mend the driver, or set runtime"):
        list_cards()
