import hashlib
import os

import pytest

from alexnet2012.errors import RecordError
from alexnet2012.files import SCHEMA, LockTaken, file_digest, locked, read_json, replacing, write_json


def test_a_file_appears_whole_with_its_folders(tmp_path):
    path = tmp_path / "some" / "folder" / "file.txt"
    with replacing(path) as temporary:
        temporary.write_text("new", encoding="utf-8")
        assert not path.exists()
        assert temporary.parent == path.parent  # a rename is atomic within one file system only
    assert path.read_text(encoding="utf-8") == "new"
    assert [each.name for each in path.parent.iterdir()] == ["file.txt"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    assert path.read_text(encoding="utf-8") == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["file.txt"]


def test_json_is_read_back(tmp_path):
    values = {"seed": 0, "errors": [0.1, 0.2], "run": None}
    write_json(tmp_path / "record.json", values)
    assert read_json(tmp_path / "record.json") == values
    assert (tmp_path / "record.json").read_text(encoding="utf-8").startswith('{\n  "seed": 0,\n')


@pytest.mark.parametrize("values", [{}, {"schema": 0}, {"schema": SCHEMA}, [{"schema": SCHEMA + 1}]])
def test_records_of_today_and_before_are_read(tmp_path, values):
    write_json(tmp_path / "record.json", values)
    assert read_json(tmp_path / "record.json") == values


@pytest.mark.parametrize("schema", [SCHEMA + 1, -1, None, "1"])
def test_a_record_of_another_schema_is_refused(tmp_path, schema):
    write_json(tmp_path / "record.json", {"schema": schema, "seed": 0})
    with pytest.raises(RecordError, match=rf"record\.json has schema {schema!r}, .* up to {SCHEMA}"):
        read_json(tmp_path / "record.json")


def test_a_missing_record_says_how_to_make_it(tmp_path):
    with pytest.raises(RecordError, match=r"record\.json cannot be read: No such file or directory; run snakemake"):
        read_json(tmp_path / "record.json")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00"])
def test_a_broken_record_says_how_to_mend_it(tmp_path, content):
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(RecordError, match=r"record\.json is not JSON .*; remove it and run snakemake"):
        read_json(tmp_path / "record.json")


def test_a_digest_is_the_sha256_of_the_bytes(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert file_digest(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    (tmp_path / "file").write_bytes(b"x" * 1_000_000)
    assert file_digest(tmp_path / "file") == hashlib.sha256(b"x" * 1_000_000).hexdigest()


def test_a_lock_names_its_holder_to_all_who_ask_until_it_is_free(tmp_path):
    path = tmp_path / "folder" / "lock"
    with locked(path):
        for _ in range(2):  # asking does not erase the name
            with pytest.raises(LockTaken, match=f"^{os.getpid()}$"), locked(path, 0.0):
                pass
    with locked(path, 0.0, "a longer name than a number"), pytest.raises(LockTaken, match="^a longer name"):
        locked(path, 0.0).__enter__()
    with locked(path, 0.0):
        assert path.read_text(encoding="utf-8") == f"{os.getpid()}\n"
