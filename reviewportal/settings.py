"""One settings file. Every variable is read from the environment; the table is in README.md.

A missing or unsafe value stops the start with a sentence. The defaults are those of a developer's
machine: SQLite, the file broker, keys made on first use in `var/keys`.
"""

import secrets
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
# Keys live outside the database's folder: a copied database file alone opens nothing.
KEY_DIR = Path(env.str("KEY_DIR", default=str(VAR_DIR / "keys"))).resolve()
DATA_DIR = Path(env.str("DATA_DIR", default=str(VAR_DIR / "data"))).resolve()
for folder in (VAR_DIR, KEY_DIR, DATA_DIR):
    folder.mkdir(parents=True, exist_ok=True)
KEY_DIR.chmod(0o700)


def _secret(name: str) -> str:
    """A secret from the environment, else from a file in KEY_DIR made on first use."""
    value = env.str(name, default="")
    if value:
        return value
    path = KEY_DIR / f"{name.lower()}.txt"
    try:
        with path.open("x") as handle:
            path.chmod(0o600)
            handle.write(secrets.token_urlsafe(64))
    except FileExistsError:
        pass
    return path.read_text().strip()


# --- what this deployment is ---------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
DEMO_MODE = env.bool("DEMO_MODE", default=False)
# Decisions need a second factor everywhere but in the demo (its banner says so).
REQUIRE_MFA_TO_DECIDE = env.bool("REQUIRE_MFA_TO_DECIDE", default=not DEMO_MODE)
if not REQUIRE_MFA_TO_DECIDE and not DEMO_MODE:
    raise ImproperlyConfigured("REQUIRE_MFA_TO_DECIDE may be off only together with DEMO_MODE.")
# The public origin: audience of agent tokens and base of every address that the portal prints.
PORTAL_URL = env.str("PORTAL_URL", default="http://127.0.0.1:8000").rstrip("/")
SECRET_KEY = _secret("SECRET_KEY")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"])
SECURE_TRANSPORT = PORTAL_URL.startswith("https://")

# --- applications --------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.idp.oidc",
    "axes",
    "simple_history",
    "rest_framework",
    "drf_spectacular",
    "audit.apps.AuditConfig",
    "ehr_adapters.apps.EhrAdaptersConfig",
    "intents.governance.apps.GovernanceConfig",
    "intents.apps.IntentsConfig",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "intents.governance.middleware.TenantMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "reviewportal.urls"
WSGI_APPLICATION = "reviewportal.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "intents.web.context.portal",
            ],
            "libraries": {
                "portal": "intents.web.templatetags.portal",
                "review": "intents.web.templatetags.review",
            },
        },
    }
]

# --- database: SQLite by default, PostgreSQL by URL; the same guarantees on both ----------------------
DATABASES = {
    "default": env.db_url_config(
        env.str("DATABASE_URL", default="") or f"sqlite:///{DATA_DIR / 'portal.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"] |= {
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": (
                "PRAGMA journal_mode=WAL;"
                f"PRAGMA synchronous={env.str('SQLITE_SYNCHRONOUS', default='FULL')};"
                "PRAGMA recursive_triggers=ON;"
            ),
        },
        "TEST": {"NAME": str(VAR_DIR / "test.sqlite3")},
    }
DATABASE_POOL = env.int("DATABASE_POOL", default=0)
if DATABASE_POOL and DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # A worker gives its connection back for every call to an EHR; making another each time costs more than
    # the statements in between. Given out only after it has answered.
    DATABASES["default"] |= {
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            **DATABASES["default"].get("OPTIONS", {}),
            "pool": {"min_size": 1, "max_size": DATABASE_POOL, "timeout": 60},
        },
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ATOMIC_REQUESTS = False

# --- cache: the agents' throttle counts here; several web processes need a shared one ----------------
CACHES = {"default": env.cache("CACHE_URL", default="locmemcache://")}

# --- people ----------------------------------------------------------------------------------------
AUTH_USER_MODEL = "governance.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/queue/"
ACCOUNT_ADAPTER = "intents.web.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE_TRANSPORT
IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN = 300
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "login"
AXES_LOCKOUT_TEMPLATE = "429.html"
SILENCED_SYSTEM_CHECKS: list[str] = []
# NIST 800-63B-4 AAL3 limits, taken for shared workstations: 12 h overall, 15 min idle.
SESSION_COOKIE_AGE = env.int("SESSION_SECONDS", default=12 * 3600)
SESSION_IDLE_SECONDS = env.int("SESSION_IDLE_SECONDS", default=15 * 60)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = SECURE_TRANSPORT
CSRF_COOKIE_SECURE = SECURE_TRANSPORT
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]
SECURE_SSL_REDIRECT = SECURE_TRANSPORT
SECURE_HSTS_SECONDS = 31536000 if SECURE_TRANSPORT else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_TRANSPORT
SECURE_HSTS_PRELOAD = SECURE_TRANSPORT
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("BEHIND_TLS_PROXY", default=False) else None
)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# docs/architecture.md: no inline script or style anywhere.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- API -------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["intents.api.authentication.AgentTokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["intents.api.authentication.HasPortalScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["intents.api.parsing.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "intents.api.errors.problem_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "reviewportal",
    "DESCRIPTION": "Agents propose changes to a chart; people decide.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
}
# Requests over this are refused with 413 before they are read (1 MiB: docs, agent API).
MAX_PROPOSAL_BYTES = 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
AGENT_REQUESTS_PER_MINUTE = env.int("AGENT_REQUESTS_PER_MINUTE", default=600)

# --- work: the database is the queue, the broker only wakes -------------------------------------------
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://")
if CELERY_BROKER_URL.startswith("filesystem"):
    _queue, _control = DATA_DIR / "broker" / "queue", DATA_DIR / "broker" / "control"
    for folder in (_queue, _control):
        folder.mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_queue),
        "data_folder_out": str(_queue),
        "control_folder": str(_control),
        "polling_interval": 0.05,
    }
else:
    # A broker that is down must not hold the approving request (docs/operations.md).
    CELERY_BROKER_TRANSPORT_OPTIONS = {"max_retries": 0}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "wakes"
CELERY_TASK_ROUTES = {
    "intents.screen_due": {"queue": "screening"},
    "intents.sequence": {"queue": "sequencer"},
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A worker outlives its broker for however long, and sweeps meanwhile.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TIMEZONE = "UTC"
# Attempts on their way at once in one worker; each connection has its own limit (`writes_at_once`).
DISPATCH_THREADS = env.int("DISPATCH_THREADS", default=4)
TICK_SECONDS = env.float("TICK_SECONDS", default=1.0)
# How often each stage looks into the database by itself, in seconds: the scheduler asks for it through the
# broker, and each process of a worker does it in any case (reviewportal.sweeping).
SWEEPS = {
    "intents.tick": TICK_SECONDS,
    "intents.screen_due": 10.0,
    "intents.dispatch_due": 5.0,
    "intents.reconcile_due": 10.0,
    "intents.file_provenance_due": 30.0,
    "intents.watch_by_hand": 30.0,
    "intents.watch_written": 3600.0,
    "intents.sequence": 5.0,
    "intents.expire_due": 30.0,
    "intents.probe_connections": 3600.0,
}
# A wake-up that nobody fetched within its period is worth nothing: the next one asks for the same.
CELERY_BEAT_SCHEDULE = {
    task.removeprefix("intents."): {
        "task": task,
        "schedule": seconds,
        "options": {"expires": max(seconds, 5.0)},
    }
    for task, seconds in SWEEPS.items()
}
# Without the broker nobody says that there is something to sequence, and dispatch waits for that.
SWEEPS["intents.sequence"] = 0.5
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")

# --- audit -----------------------------------------------------------------------------------------
AUDIT_WITNESS_FILE = Path(
    env.str("AUDIT_WITNESS_FILE", default=str(VAR_DIR / "witness" / "checkpoints.jsonl"))
)
# Where each machine writes down the attempts that it began: not in the database, and not in its folder.
ATTEMPT_WITNESS_DIR = Path(
    env.str("ATTEMPT_WITNESS_DIR", default=str(VAR_DIR / "witness"))
).resolve()
AUDIT_ORIGIN = env.str("AUDIT_ORIGIN", default="reviewportal.local/audit")

# Scrapes of /metrics: from loopback, or with this bearer token.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# --- EHRs ------------------------------------------------------------------------------------------
EHR_TIMEOUT_SECONDS = env.float("EHR_TIMEOUT_SECONDS", default=15.0)
# The review page waits this long for the chart, then says that the EHR does not answer.
EHR_REVIEW_READ_SECONDS = env.float("EHR_REVIEW_READ_SECONDS", default=2.0)
# Hosts that live and test connections may reach; loopback is allowed for sandbox connections only.
EHR_EGRESS_HOSTS = env.list("EHR_EGRESS_HOSTS", default=[])

# --- static, language, time --------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# --- logs: constant messages, ids in `extra`, never clinical content ------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "reviewportal.logs.JsonFormatter"}},
    "filters": {"incidents": {"()": "reviewportal.logs.NotAnIncident"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json"},
        "incidents": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "filters": ["incidents"],
        },
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django.request": {"handlers": ["incidents"], "level": "ERROR", "propagate": False},
        # The file broker has no host name, and says so at each connection.
        "kombu.connection": {"level": "ERROR"},
        "axes": {"level": "WARNING"},
    },
}
