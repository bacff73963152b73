import pytest
from workflow_copy import Project


@pytest.fixture(scope="session")
def fresh_template(tmp_path_factory) -> Project:
    return Project.copy(tmp_path_factory.mktemp("fresh") / "project")


@pytest.fixture
def fresh(fresh_template, tmp_path) -> Project:
    """A project in which nothing has run."""
    return fresh_template.twin(tmp_path / "fresh")
