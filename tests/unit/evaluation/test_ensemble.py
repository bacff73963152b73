import numpy as np
import pytest

from alexnet2012.errors import RecordError
from alexnet2012.evaluation import ensemble
from alexnet2012.evaluation.ensemble import average, average_members
from alexnet2012.files import write_json


def save(folder, *arrays):
    paths = []
    for k, array in enumerate(arrays):
        paths.append(folder / f"member{k}.npy")
        np.save(paths[-1], np.asarray(array, dtype=np.float32))
    return paths


def test_an_average_worked_by_hand(tmp_path):
    members = save(
        tmp_path,
        [[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]],
        [[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]],
        [[0.75, 0.0, 0.25], [0.0, 0.5, 0.5]],
    )
    average(members, tmp_path / "new" / "folder" / "ensemble.npy")
    found = np.load(tmp_path / "new" / "folder" / "ensemble.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32([[0.5, 0.25, 0.25], [1 / 3, 0.5, 1 / 6]]))


def test_the_sum_is_made_in_float64(tmp_path):
    # In float32, 1 + 2^-24 is 1, so that the two small members would be lost.
    members = save(tmp_path, [[1.0]], [[2.0**-24]], [[2.0**-24]])
    average(members, tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy")[0, 0] == np.float32((1 + 2.0**-23) / 3) != np.float32(1 / 3)


@pytest.mark.parametrize("rows", [1, 3, 4, 8, 9])
def test_blocks_change_nothing(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(ensemble, "BLOCK_VALUES", 4 * rows + 3)
    generator = np.random.default_rng(0)
    arrays = [generator.dirichlet(np.ones(4), 8).astype(np.float32) for _ in range(5)]
    average(save(tmp_path, *arrays), tmp_path / "out.npy")
    expected = np.mean([array.astype(np.float64) for array in arrays], axis=0)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, rtol=1e-7)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (2, 3, 1)])
def test_members_of_other_shapes_are_refused(tmp_path, shape):
    members = save(tmp_path, np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(shape))
    with pytest.raises(RecordError, match=r"member2.npy holds .*member0.npy holds \(2, 3\)"):
        average(members, tmp_path / "out" / "ensemble.npy")
    assert not (tmp_path / "out").exists()


def test_members_whose_probabilities_were_not_kept_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.empty((0, 3), np.float32))
    with pytest.raises(RecordError, match=r"a\.npy holds no probabilities"):
        average([tmp_path / "a.npy"] * 2, tmp_path / "average.npy")
    with pytest.raises(RecordError, match="at least one member"):
        average([], tmp_path / "average.npy")
    assert not (tmp_path / "average.npy").exists()


@pytest.mark.parametrize("lost", ["dataset", "seed", "provenance"])
def test_a_member_without_a_whole_record_is_named(tmp_path, lost):
    record = {"dataset": {"name": "fake", "digest": "0" * 64}, "variant": "cnn", "seed": 0, "provenance": {}}
    del record[lost]
    write_json(tmp_path / "member" / "val.json", record)
    with pytest.raises(RecordError, match=f"member/val.json .*{lost}"):
        average_members("some", [tmp_path / "member"], "val", tmp_path / "out", tmp_path / "data")
