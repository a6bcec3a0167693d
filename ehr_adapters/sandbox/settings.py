"""Settings of the practice EHR's process; nothing is shared with the portal's settings or database.

Only `python -m ehr_adapters.sandbox` uses this file, and it names the folder for the database in
PRACTICE_EHR_DIR. A deployment that calls itself live is refused here, before anything is opened.
"""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

# The words by which a deployment says that real charts are behind it.
LIVE_WORDS = frozenset({"live", "prod", "production"})
if os.environ.get("PORTAL_ENVIRONMENT", "").strip().lower() in LIVE_WORDS:
    raise ImproperlyConfigured(
        "The practice EHR does not start beside real charts: PORTAL_ENVIRONMENT says this deployment is live."
    )
_folder = os.environ.get("PRACTICE_EHR_DIR", "")
if not _folder:
    raise ImproperlyConfigured(
        "Start the practice EHR with: python -m ehr_adapters.sandbox --data DIR"
    )

DATA_FOLDER = Path(_folder)
DEBUG = False
SECRET_KEY = secrets.token_urlsafe(48)  # signs nothing that outlives the process
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["ehr_adapters.sandbox.apps.SandboxConfig"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "ehr_adapters.sandbox.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(DATA_FOLDER / "practice_ehr.sqlite3"),
        "CONN_MAX_AGE": None,  # the server closes a thread's connection when the thread ends
        "OPTIONS": {
            # A conditional create looks and files in one transaction; IMMEDIATE makes that one step.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # NORMAL keeps every commit when the process is killed, which is what a practice EHR owes.
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA foreign_keys=ON;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
APPEND_SLASH = False
# One note with attachments; the server refuses more before it is read.
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
# Seconds that an access token lives unless a client or a setting says otherwise. Short, so that the
# quarantine of an unknown outcome (which counts the token's remaining life) stays short in a demo.
PRACTICE_TOKEN_SECONDS = int(os.environ.get("PRACTICE_TOKEN_SECONDS", "5"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        # 4xx are what a practice EHR is for; only its own mistakes are worth a line.
        "django.request": {"handlers": ["console"], "level": "ERROR", "propagate": False},
    },
}
