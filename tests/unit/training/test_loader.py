import pytest
import torch
from tiny_training import make_run, pack

from alexnet2012.data.augment import draw_order, draw_views
from alexnet2012.training import loader
from alexnet2012.training.loader import Batch, BatchLoader


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feed")
    return folder, pack(folder)


@pytest.fixture
def batches_of(packed):
    """The batches of the first epoch from `first` on; those made ahead as a GPU gets them, though on the CPU."""
    folder, dataset = packed

    def batches(made_ahead: bool, first: int = 0, **changes):
        run = make_run(folder, **changes)
        source = BatchLoader(run, dataset, torch.device("cpu"))
        images = dataset.counts["train"]
        order = draw_order(run.seed, 0, images)
        views = draw_views(run.seed, 0, dataset, images, run.net.crop_px, run.training.augmentation, order)
        source.makes_ahead = made_ahead
        return source.batches(order, views, first, first)

    return batches


def same(one: Batch, other: Batch) -> bool:
    masks = zip(one.masks or (), other.masks or (), strict=True)
    pairs = [(one.images, other.images), (one.labels, other.labels), *masks]
    return all(torch.equal(*pair) for pair in pairs)


AS_IN_2012 = {
    "net": {"mean_crop": "central"},
    "training": {"augmentation": {"chunk": 4, "colour_divisor": 1.1}},
}


@pytest.mark.parametrize("changes", [{}, {"net": {"dropout": 0.0}}, {"training": {"batch_size": 60}}, AS_IN_2012])
def test_batches_made_ahead_for_a_gpu_are_those_of_a_cpu_bit_for_bit(batches_of, changes):
    in_line, ahead = (list(batches_of(each, **changes)) for each in (False, True))
    assert len(in_line) == len(ahead) == 126 // changes.get("training", {}).get("batch_size", 8)
    assert all(same(*pair) for pair in zip(in_line, ahead, strict=True))
    assert not same(in_line[0], in_line[1])
    assert (in_line[0].masks is None) == ("dropout" in changes.get("net", {}))


@pytest.mark.parametrize("made_ahead", [False, True])
def test_an_epoch_can_begin_in_the_middle(batches_of, made_ahead):
    whole, rest = list(batches_of(False)), list(batches_of(made_ahead, first=9))
    assert all(same(*pair) for pair in zip(whole[9:], rest, strict=True))


def test_an_error_in_the_making_is_raised_where_the_batch_is_used(batches_of, monkeypatch):
    def fail(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(loader, "crop_bytes", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        list(batches_of(True))


def test_leaving_early_ends_the_makers(batches_of, monkeypatch):
    made = []
    real = BatchLoader.make_on_host

    def make_on_host(self, rows, *rest):
        made.append(rows)
        return real(self, rows, *rest)

    monkeypatch.setattr(BatchLoader, "make_on_host", make_on_host)
    batches = batches_of(True, training={"batch_size": 2})
    next(batches)
    batches.close()
    assert len(made) <= loader.AHEAD + 1
