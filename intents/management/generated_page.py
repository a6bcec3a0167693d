"""A page of docs/ that is printed from the code: written by `make docs`, compared by `make check`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError


class GeneratedPage(BaseCommand):
    """Prints, writes or compares what `page()` gives. It reads code only, so no database is checked."""

    requires_system_checks: list[str] = []

    def page(self) -> str:
        """The whole page, as Markdown that ends with a line end."""
        raise NotImplementedError

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", type=Path, help="write the page to this file")
        parser.add_argument("--check", type=Path, help="exit 1 unless this file holds the page")

    def handle(self, *args: Any, **options: Any) -> None:
        text = self.page()
        if options["check"]:
            path: Path = options["check"]
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                raise CommandError(f"{path} is not what the code says; run make docs.")
        elif options["write"]:
            options["write"].write_text(text, encoding="utf-8")
        else:
            self.stdout.write(text, ending="")
