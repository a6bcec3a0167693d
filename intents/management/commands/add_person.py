"""`add_person --tenant T --email E --role R --clinical-role C`: a person and a way to sign in first."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from intents.governance.first_sign_in import sign_in_link
from intents.governance.models import ClinicalRole, Membership, Profession, Role, User
from intents.governance.tenancy import tenant_context
from intents.management.naming import OPERATOR, find_tenant, sentences


class Command(BaseCommand):
    help = "Give a person a role in a workspace, and print a one-time sign-in link."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, help="name or id of the workspace")
        parser.add_argument("--email", required=True)
        parser.add_argument("--name", default="", help="as it is shown; the address if left out")
        parser.add_argument("--role", required=True, type=str.upper, choices=Role.values)
        parser.add_argument(
            "--clinical-role", type=str.upper, default="NONE", choices=ClinicalRole.values
        )
        parser.add_argument(
            "--profession", type=str.upper, default="OTHER", choices=Profession.values
        )
        parser.add_argument("--clinical-lead", action="store_true")
        parser.add_argument(
            "--superuser", action="store_true", help="administers the whole installation"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = find_tenant(options["tenant"])
        at = timezone.now()
        by: dict[str, Any] = {"actor": OPERATOR, "at": at}
        try:
            with tenant_context(tenant.pk), transaction.atomic():
                address = options["email"].strip().lower()
                user = User.objects.filter(email=address).first()
                if user is None:
                    user = User.add(email=address, name=options["name"] or address, **by)
                # Administrators work in the administration pages.
                if options["role"] == Role.ADMIN or options["superuser"]:
                    user.change(is_staff=True, **by)
                if options["superuser"]:
                    user.change(is_superuser=True, **by)
                Membership.grant(
                    tenant=tenant,
                    user=user,
                    role=options["role"],
                    clinical_role=options["clinical_role"],
                    profession=options["profession"],
                    clinical_lead=options["clinical_lead"],
                    **by,
                )
        except ValidationError as refused:
            raise CommandError(sentences(refused)) from None
        self.stdout.write(f"person: {user.name} <{user.email}>, {options['role']} in {tenant.name}")
        if user.has_usable_password():
            self.stdout.write("This person signs in as before.")
        else:
            self.stdout.write("One-time sign-in link; it ends when it is used, or in three days:")
            self.stdout.write(sign_in_link(user))
