import copy
import subprocess

import numpy as np
import pytest
from planned import TINY, plan_work

from alexnet2012.config.datasets import DatasetConfig
from alexnet2012.cpu import KEEP_LARGE_BUFFERS
from alexnet2012.data.packed import open_images
from alexnet2012.errors import PlanError
from alexnet2012.planning import rates
from alexnet2012.planning.machine import Machine
from alexnet2012.planning.miniature import job_environment

CIFAR10 = copy.deepcopy(TINY) | {
    "datasets": {"pictures": {"kind": "cifar10", "size_px": 32}},
    "runtime": {"device": "cpu", "evaluation_batch": 10},
}


def test_the_real_code_is_measured_in_as_many_processes_as_asked(monkeypatch):
    started = []
    popen = subprocess.Popen

    def start(*arguments, **options):
        started.append(options["env"])
        return popen(*arguments, **options)

    monkeypatch.setattr(rates.subprocess, "Popen", start)
    monkeypatch.setattr(rates, "SAMPLE_BYTES", 2**20)
    work = plan_work(CIFAR10)
    machine = Machine(cores=2, cards=None, memory_bytes=10**9, hardware="some processor")
    (found,) = rates.measure_rates(work, machine, window_s=0.1).values()
    assert len(started) == found.processes == 2
    assert all(KEEP_LARGE_BUFFERS.items() <= environment.items() for environment in started)
    assert min(found.step_s, found.centre_s, found.ten_crop_s, found.epoch_start_s, found.checkpoint_s) > 0
    assert found.ten_crop_s > found.centre_s
    assert (found.device, found.origin, found.batch_size) == ("cpu", "measured", 8)
    assert found.images_per_s == pytest.approx(8 / found.step_s)


def test_a_probe_that_dies_is_an_error_with_its_place(monkeypatch):
    monkeypatch.setattr(rates.sys, "executable", "false")
    work = plan_work(CIFAR10)
    machine = Machine(cores=1, cards=None, memory_bytes=10**9, hardware="some processor")
    with pytest.raises(PlanError, match="the measuring stopped at train"):
        rates.measure_rates(work, machine)


def test_a_probe_never_reaches_a_real_tracking_store(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere")
    assert "MLFLOW_TRACKING_URI" not in job_environment()


@pytest.mark.parametrize("storage", ["raw", "jpeg"])
def test_the_random_images_are_stored_as_the_datasets_are(storage):
    dataset = DatasetConfig(kind="imagefolder", folder="pictures", size_px=32, storage=storage)
    with rates.random_images(dataset, images=20, batch_size=8) as folder:
        images = open_images(folder, 32, storage)
        assert len(images) == 20
        assert images[np.array([3, 19])].shape == (2, 32, 32, 3)
        assert images[7].std() > 20
    with rates.random_images(dataset, images=0, batch_size=8) as folder:
        assert len(open_images(folder, 32, storage)) == 8
    assert not folder.exists()


def test_each_probe_gets_a_card_of_its_own_among_those_that_are_visible():
    assert rates.visible_card({}, 1) == "1"
    assert rates.visible_card({"CUDA_VISIBLE_DEVICES": "4,7"}, 1) == "7"
