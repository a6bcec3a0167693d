"""What every page shows around its content: who, where, what is waiting, whether writing is on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject, cached_property

from intents.governance.models import Membership, User
from intents.governance.roles import may_administer
from intents.models import OutboxEntry
from intents.queries import queue, worklist, writing
from intents.web.access import may_open
from intents.web.accounts import keys_cookie, role_words

# Where the last approval is remembered, so that the next page can offer to undo it.
UNDO_KEY = "undo"


@dataclass(frozen=True, slots=True)
class NavItem:
    """One entry of the top bar."""

    label: str
    url: str
    current: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Writing:
    """Whether approved drafts are being sent."""

    label: str
    all_on: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class UndoOffer:
    """The approval that was just given and can still be taken back."""

    proposal_id: UUID
    seconds: int


class Portal:
    """The frame of a page. Each part is read from the database when a template asks for it."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.membership: Membership | None = getattr(request, "membership", None)
        theme = request.COOKIES.get("theme", "")
        self.theme = theme if theme in ("light", "dark") else ""
        self.demo = settings.DEMO_MODE

    @property
    def person(self) -> str:
        user = getattr(self._request, "user", None)
        return str(user) if user is not None and user.is_authenticated else ""

    @property
    def role_words(self) -> str:
        return role_words(self.membership) if self.membership else ""

    @property
    def organisation(self) -> str:
        return self.membership.tenant.name if self.membership else ""

    @property
    def single_keys(self) -> bool:
        user = getattr(self._request, "user", None)
        if not isinstance(user, User):
            return True
        return self._request.COOKIES.get(keys_cookie(user)) != "off"

    @cached_property
    def workspaces(self) -> list[dict[str, object]]:
        """The organisations of the person, for the choice on their own page."""
        here = self.membership.pk if self.membership else None
        user = self._request.user
        if not isinstance(user, User):
            return []
        rows = (
            Membership.unscoped.filter(user=user, is_active=True, tenant__is_active=True)
            .select_related("tenant", "user")
            .order_by("tenant__name")
        )
        return [
            {"id": m.pk, "name": m.tenant.name, "role": role_words(m), "current": m.pk == here}
            for m in rows
        ]

    @cached_property
    def nav(self) -> list[NavItem]:
        """The entries of the top bar that the role opens, with what waits behind them."""
        membership = self.membership
        if membership is None:
            return []
        at = timezone.now()
        items: list[NavItem] = []

        def add(page: str, label: str, url: str, *, count: int | None = None) -> None:
            if may_open(page, membership=membership):
                items.append(NavItem(label, url, self._is_under(url), count))

        if may_open("queue", membership=membership):
            waiting = queue.count(queue.View.MINE, reviewer=membership, at=at)
            add("queue", "Queue", reverse("queue"), count=waiting)
        if may_open("worklist", membership=membership):
            add("worklist", "Work list", reverse("worklist"), count=worklist.count(at=at))
        add("patients", "Patients", reverse("patients"))
        add("audit", "Audit", reverse("audit"))
        if may_administer(membership) and membership.user.is_staff:
            items.append(NavItem("Admin", reverse("admin:index"), current=False))
        return items

    def _is_under(self, url: str) -> bool:
        path = self._request.path
        if url == reverse("queue") and path.startswith("/intents/"):
            return True
        return path.startswith(url)

    @cached_property
    def writing(self) -> Writing | None:
        """Whether this organisation's connections accept writes."""
        if self.membership is None:
            return None
        rows = writing.connections(tenant=self.membership.tenant)
        label, all_on = writing.sentence(rows)
        on = sum(row.writing for row in rows)
        return Writing(label, all_on, f"{on} of {len(rows)} connections accept writes")

    @cached_property
    def undo(self) -> UndoOffer | None:
        """The offer to undo the last approval, while nothing of it has been sent."""
        if self.membership is None:
            return None
        stored = self._request.session.get(UNDO_KEY)
        if not isinstance(stored, dict):
            return None
        at = timezone.now()
        until = datetime.fromisoformat(stored["until"])
        if until <= at:
            del self._request.session[UNDO_KEY]
            return None
        if not OutboxEntry.objects.filter(
            intent__proposal_id=stored["proposal"], closed_at__isnull=True
        ).exists():
            return None
        return UndoOffer(
            proposal_id=UUID(stored["proposal"]),
            seconds=max(1, round((until - at).total_seconds())),
        )


def offer_undo(request: HttpRequest, *, proposal_id: UUID, until: datetime) -> None:
    """Let the next pages offer to undo this approval until `until`. Ids and times only are kept."""
    request.session[UNDO_KEY] = {"proposal": str(proposal_id), "until": until.isoformat()}


def portal(request: HttpRequest) -> dict[str, Any]:
    """The context processor: `portal` in every template."""
    return {"portal": SimpleLazyObject(lambda: Portal(request))}
