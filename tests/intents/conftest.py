"""The made-up clinic with its practice EHR."""

from tests.factories import clinic  # noqa: F401  fixture
