"""Files of settings: YAML that is read strictly, runs that are read back."""

import pytest
import yaml
from minimal import committed, plan

from alexnet2012.config.schema import read_run
from alexnet2012.config.validate import read_yaml
from alexnet2012.errors import ConfigError


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"a: 1\nb: [1, 2\nc: 3\n", ", line 3: "),
        (b"a: 1\n\tb: 2\n", ", line 2: "),
        (b"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", ', line 5: "c" '),
        (b"a: !!python/object:os.system {}\n", ", line 1: .*os.system"),
        (b"name: \xff\xfe", " .* at byte 6"),
        (None, " "),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(tmp_path, content, place):
    path = tmp_path / "file.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}{place}"):
        read_yaml(path)


def test_a_key_may_recur_in_another_mapping_and_through_a_merge(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {x: 4}\n", encoding="utf-8")
    assert read_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 4}}


def test_a_stored_run_reads_back_as_it_was(tmp_path):
    run = committed("config.yaml").runs[5]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(run.model_dump(), sort_keys=False), encoding="utf-8")
    assert read_run(path) == run


def test_a_run_written_before_nets_had_kinds_is_the_papers(tmp_path):
    run, path = plan().runs[0], tmp_path / "config.yaml"
    values = run.model_dump()
    del values["net"]["kind"]
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert read_run(path) == run
    values["net"]["pol"] = 3
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=f'{path}: net: "pol" .*"pool"'):
        read_run(path)
