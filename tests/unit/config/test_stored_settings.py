"""Files of settings: YAML that is read strictly, runs that are read back."""

import pytest
import yaml
from minimal import committed, plan

from alexnet2012.config.schema import read_run
from alexnet2012.config.validate import read_yaml
from alexnet2012.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", "file.yaml, line 3: "),
        ("a: 1\n\tb: 2\n", "file.yaml, line 2: "),
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", 'file.yaml, line 5: "c" is written twice; keep one of them'),
        ("a: !!python/object:os.system {}\n", "could not determine a constructor"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(tmp_path, text, message):
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert message in str(caught.value)
    assert str(caught.value).endswith("this is not valid YAML")


def test_a_key_may_recur_in_another_mapping_and_through_a_merge(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {x: 4}\n", encoding="utf-8")
    assert read_yaml(path) == {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 4}}


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml cannot be read: No such file or directory"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_yaml(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match=r"binary\.yaml is not text in UTF-8 .* at byte 6"):
        read_yaml(tmp_path / "binary.yaml")


def test_a_stored_run_reads_back_as_it_was(tmp_path):
    run = committed("config.yaml").runs[5]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(run.model_dump(), sort_keys=False), encoding="utf-8")
    assert read_run(path) == run


def test_a_run_written_before_nets_had_kinds_is_the_papers(tmp_path):
    run = plan().runs[0]
    values = run.model_dump()
    del values["net"]["kind"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    assert read_run(tmp_path / "config.yaml") == run
    values["net"]["pol"] = 3
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match='net: "pol" is not a setting; did you mean "pool"'):
        read_run(tmp_path / "config.yaml")
