import pytest
from fake_results import FakeResults
from report_inputs import write_report_inputs


@pytest.fixture
def fake(tmp_path) -> FakeResults:
    return FakeResults(tmp_path)


@pytest.fixture
def reported(fake) -> FakeResults:
    """Finished results with two figures and a tracking store on this machine."""
    errors = {("test", "ten_crop"): (4, 1)}
    fake.add("cnn", {0: errors, 1: errors}, ("table1",)).add("one-gpu", {0: errors}, ("in_text",))
    fake.average("5-cnns", errors, ("table2",))
    write_report_inputs(fake.folder)
    return fake
