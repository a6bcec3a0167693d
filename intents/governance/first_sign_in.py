"""How a new person signs in for the first time: an address that works once."""

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.urls import reverse

from intents.governance.models import User


def sign_in_link(user: User) -> str:
    """An address at which this person chooses a password, once; it ends when used, or in three days."""
    path = reverse(
        "account_reset_password_from_key",
        kwargs={
            "uidb36": user_pk_to_url_str(user),
            "key": default_token_generator.make_token(user),
        },
    )
    return f"{settings.PORTAL_URL}{path}"
