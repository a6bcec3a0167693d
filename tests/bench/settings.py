"""The product's settings, with the limit's one view and table beside it."""

from reviewportal.settings import *  # noqa: F403 - the product's settings, with what follows changed
from reviewportal.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.bench.apps.BenchConfig"]
ROOT_URLCONF = "tests.bench.urls"
