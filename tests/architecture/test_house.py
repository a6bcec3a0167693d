"""Rules of the house that no type checker and no import contract can see."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings

from audit.tags import AuditTag
from tests.environment import ROOT

pytestmark = pytest.mark.once

PRODUCT = [
    path
    for package in ("reviewportal", "intents", "ehr_adapters", "audit")
    for path in sorted((ROOT / package).rglob("*.py"))
]


def _source(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _where(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_woken_and_scheduled_task_is_registered_and_its_queue_is_consumed():
    import intents.tasks  # noqa: F401  registers them
    from intents.pipeline import outbox
    from reviewportal.celery import app

    woken = set(outbox.TASKS.values()) | {e["task"] for e in settings.CELERY_BEAT_SCHEDULE.values()}
    assert woken <= set(app.tasks)
    demo = (ROOT / "intents/management/commands/demo.py").read_text()
    consumed = set(re.search(r'"--queues", "([a-z,]+)"', demo).group(1).split(","))
    queues = {route["queue"] for route in settings.CELERY_TASK_ROUTES.values()}
    assert queues | {settings.CELERY_TASK_DEFAULT_QUEUE} == consumed


@pytest.mark.req("003-50")
def test_tasks_take_no_arguments_so_a_forged_message_carries_no_authority():
    for node in ast.walk(_source(ROOT / "intents/tasks.py")):
        if isinstance(node, ast.FunctionDef):
            assert not node.args.args, node.name
            assert not node.args.kwonlyargs, node.name


def test_only_advance_sets_the_state_of_an_intent():
    for path in PRODUCT:
        if path.name == "intent.py" and path.parent.name == "models":
            continue
        for node in ast.walk(_source(path)):
            targets = node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Attribute) and target.attr == "state":
                    assert "sandbox" in _where(path) or not ast.unparse(target).startswith(
                        ("intent.", "self.intent.")
                    ), f"{_where(path)}:{node.lineno}"


def test_records_with_history_or_evidence_are_never_written_in_bulk():
    recorded = {
        "Intent", "Proposal", "OutboxEntry", "Discrepancy", "Tenant", "Membership", "EhrConnection", "Agent",
        "AgentCredential", "ScopeGrant", "KillSwitch", "PolicyVersion", "ConsentDirective", "EhrIdentity",
    }  # fmt: skip
    for path in PRODUCT:
        for node in ast.walk(_source(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr not in ("update", "bulk_update", "delete"):
                    continue
                chain = ast.unparse(node.func.value)
                model = chain.split(".", 1)[0]
                manager = ".objects" in chain or ".unscoped" in chain
                assert not (model in recorded and manager), (
                    f"{_where(path)}:{node.lineno} {chain}.{node.func.attr}"
                )


def test_nothing_below_a_door_asks_the_clock():
    doors = {"web", "api", "admin.py", "management", "tasks.py"}
    may_ask = {
        # what the admin and the middleware are made of belongs to a door
        "audit/admin.py",
        "intents/governance/admin.py",
        "intents/governance/administering.py",
        "intents/governance/middleware.py",
        # when an event was written, beside when its caller says that it happened
        "audit/recording.py",
        # scraped by another program, at no moment of the product
        "intents/queries/metrics.py",
    }
    asked = set()
    for path in PRODUCT:
        where = _where(path)
        package, part = where.split("/")[:2]
        if package not in ("audit", "intents") or (package == "intents" and part in doors):
            continue
        for node in ast.walk(_source(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "timezone.now",
                "datetime.now",
                "time.time",
                "datetime.utcnow",
            ):
                asked.add(where)
    assert asked == may_ask


def test_log_lines_are_constant_messages():
    for path in PRODUCT:
        for node in ast.walk(_source(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) in ("logger", "log", "_log", "_logger")
                and node.func.attr in ("debug", "info", "warning", "error", "exception", "critical")
            ):
                first = node.args[0]
                assert isinstance(first, ast.Constant), f"{_where(path)}:{node.lineno}"
                assert len(node.args) == 1, f"{_where(path)}:{node.lineno}: values go into extra"


def test_no_module_is_called_by_what_it_is_not():
    forbidden = {"utils", "helpers", "common", "misc", "manager"}
    assert not [_where(p) for p in PRODUCT if p.stem in forbidden]


def test_no_stage_is_longer_than_a_reader_can_hold():
    long = {
        _where(p): n
        for p in PRODUCT
        if "migrations" not in p.parts
        and (n := len(p.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long


def test_every_setting_read_from_the_environment_is_in_the_readme():
    read = set(
        re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "reviewportal/settings.py").read_text())
    )
    read |= set(
        re.findall(r'_secret\("([A-Z_]+)"\)', (ROOT / "reviewportal/settings.py").read_text())
    )
    documented = set(re.findall(r"`([A-Z_]+)`", (ROOT / "README.md").read_text()))
    assert read <= documented | {"DEBUG"}, read - documented


def test_templates_hold_no_inline_script_style_or_handler():
    for path in sorted((ROOT / "templates").rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*(?:\bsrc=|type=\"application/json\"))[^>]*>", text), (
            path
        )
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"", text), path
        # The library draws this one picture from numbers alone.
        assert "|safe" not in text.replace("{{ totp_svg|safe }}", ""), path


def test_every_audit_tag_is_recorded_by_something():
    said = "".join(p.read_text(encoding="utf-8") for p in PRODUCT if _where(p) != "audit/tags.py")
    # As AuditTag.X, or as _T.X where the table of transitions would grow too wide.
    assert not [tag.name for tag in AuditTag if f".{tag.name}" not in said]


def test_every_style_is_of_something_that_a_page_can_hold():
    sheet = (ROOT / "static/reviewportal/app.css").read_text(encoding="utf-8")
    sheet = re.sub(r"/\*.*?\*/|\{[^{}]*\}", " ", sheet, flags=re.DOTALL)
    styled = set(re.findall(r"[.#]([A-Za-z_][\w-]*)", sheet))
    pages = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static").rglob("*.js")]
    pages += [p for p in PRODUCT if _where(p).startswith(("intents/web/", "intents/queries/"))]
    held = set(re.findall(r"[\w-]+", " ".join(p.read_text(encoding="utf-8") for p in pages)))
    # Django writes this one.
    assert styled - held == {"errorlist"}


def test_every_dependency_has_its_reason_written_down():
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    reasoned = set(re.findall(r"[\w.-]+", page.split("## Own code")[0]))
    for file in ("base.in", "dev.in"):
        lines = (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines()
        names = [re.match(r"[\w.-]+", line).group() for line in lines if line[:1].isalpha()]
        assert names
        assert not set(names) - reasoned


def test_what_the_type_checker_is_told_to_pass_over_says_why():
    places = [
        *PRODUCT,
        *sorted((ROOT / "tests").rglob("*.py")),
        *sorted((ROOT / "examples").rglob("*.py")),
    ]
    silent = [
        f"{_where(path)}:{number}"
        for path in places
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"#\s*type:\s*ignore", line)
        and not re.search(r"# type: ignore\[[a-z, -]+\]  # \S", line)
        and path != Path(__file__)
    ]
    assert not silent
