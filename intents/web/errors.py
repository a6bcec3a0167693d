"""What people are told when something cannot be done: plain words, never clinical content."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def overtaken(request: HttpRequest, *, sentence: str, back: str) -> HttpResponse:
    """409: somebody or something was faster.

    `sentence` says what, without clinical content; `back` is the page that shows how things stand.
    """
    return render(request, "409.html", {"sentence": sentence, "back": back}, status=409)
