"""What people are told when something cannot be done: plain words, never clinical content."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def overtaken(request: HttpRequest, *, sentence: str) -> HttpResponse:
    """409: somebody or something was faster. `sentence` says what, without clinical content."""
    return render(request, "409.html", {"sentence": sentence}, status=409)
