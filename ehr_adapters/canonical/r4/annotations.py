"""The comments of an entry (Annotation), written and read the same way by every kind. Pure."""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.declaration import ChangeInvalid, ChangeIssue
from ehr_adapters.canonical.r4.parts import Taken, Uncarried


def put_comment(resource: dict[str, Any], value: str | None) -> list[Uncarried]:
    """The comment of an entry in place of the one it has; None takes it away.

    Raises `ChangeInvalid` where the entry has several: nobody here can say which one is meant.
    """
    now = [one for one in resource.get("note") or () if isinstance(one, Mapping)]
    if len(now) > 1:
        raise ChangeInvalid(
            [
                ChangeIssue(
                    "/note",
                    "several-comments",
                    f"The entry holds {len(now)} comments: which of them changes can only be said in the EHR.",
                )
            ]
        )
    if value is None:
        resource.pop("note", None)
    else:
        resource["note"] = [{"text": value}]
    # The words are new, so the old author and time do not stand beside them.
    if not any(key != "text" for one in now for key in one):
        return []
    return [
        Uncarried(
            "/note", "The author and the time of the old comment go with its words.", removed=True
        )
    ]


def read_comments(taken: Taken, content: dict[str, Any], *, name: str = "note") -> None:
    """All comments, one under the other: what a reviewer is shown leaves none of them out."""
    notes = taken.value.get("note")
    if not isinstance(notes, list):
        return
    texts = [
        one.pop("text")
        for one in notes
        if isinstance(one, dict) and isinstance(one.get("text"), str) and one["text"].strip()
    ]
    if texts:
        content[name] = "\n\n".join(texts)
        taken.leave("note", [one for one in notes if one])
