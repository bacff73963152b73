import pytest
from fake_results import FakeResults


@pytest.fixture
def fake(tmp_path) -> FakeResults:
    return FakeResults(tmp_path)
