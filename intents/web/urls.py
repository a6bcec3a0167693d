"""The addresses of the people's door. Each view names the page whose permission it needs.

From the sign-in library only what is named here is mounted: there is no address to sign up, to reset
a password by mail or to change one's own address.
"""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.webauthn import views as webauthn
from django.conf import settings
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from intents.web import (
    accounts,
    by_hand,
    conflict,
    delivery,
    integrity,
    patients,
    provenance,
    queue,
    redrafting,
    review,
    taking_back,
    timeline,
    worklist,
    writing,
)

urlpatterns = [
    path("", accounts.home, name="home"),
    # Pages that are not ours (the admin, a file) ask for it by this name.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}reviewportal/favicon.svg")),
    # signing in
    path("login/", accounts.SignIn.as_view(), name="account_login"),
    path("login/demo/", accounts.demo_sign_in, name="demo_sign_in"),
    path("login/passkey/", webauthn.login_webauthn, name="mfa_login_webauthn"),
    path("login/factor/", mfa.authenticate, name="mfa_authenticate"),
    path("logout/", accounts.Account.as_view(), name="account_logout"),
    path("account/inactive/", account.account_inactive, name="account_inactive"),
    path("login/again/", accounts.sign_in_again, name="sign_in_again"),
    path("account/again/", account.reauthenticate, name="account_reauthenticate"),
    path("account/password/", account.password_change, name="account_change_password"),
    path("account/password/first/", account.password_set, name="account_set_password"),
    re_path(
        r"^account/password/link/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path(
        "account/password/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("account/factors/", include("intents.web.factor_urls")),
    path("account/sessions/", include("allauth.usersessions.urls")),
    path("account/organisation/", accounts.choose_workspace, name="choose_workspace"),
    path("account/preferences/", accounts.preferences, name="preferences"),
    path("keys/", accounts.keys, name="keys"),
    # drafts
    path("queue/", queue.queue_page, name="queue"),
    path("queue/next/", queue.next_draft, name="next_draft"),
    path("queue/news/", queue.queue_news, name="queue_news"),
    path("intents/<uuid:proposal_id>/", review.review_page, name="review"),
    path("intents/<uuid:proposal_id>/edit/", redrafting.edit, name="review_edit"),
    path("intents/<uuid:proposal_id>/reject/", redrafting.reject, name="review_reject"),
    path("intents/<uuid:proposal_id>/promote/", review.promote, name="review_promote"),
    path("intents/<uuid:proposal_id>/author/", review.take_over, name="review_take_over"),
    path("intents/<uuid:proposal_id>/drop/", review.drop, name="review_drop"),
    path("intents/<uuid:proposal_id>/typed/", by_hand.typed, name="review_typed"),
    path("intents/<uuid:proposal_id>/task/", by_hand.as_task, name="review_as_task"),
    path("intents/<uuid:proposal_id>/line/", by_hand.into_note, name="review_into_note"),
    path("intents/<uuid:proposal_id>/delivery/", delivery.delivery_page, name="delivery"),
    path(
        "intents/<uuid:proposal_id>/delivery/state/", delivery.delivery_state, name="delivery_state"
    ),
    path("intents/<uuid:proposal_id>/undo/", delivery.undo, name="undo"),
    path("intents/<uuid:proposal_id>/conflict/", conflict.conflict_page, name="conflict"),
    path("intents/<uuid:proposal_id>/conflict/release/", conflict.release, name="conflict_release"),
    path("intents/<uuid:proposal_id>/conflict/reject/", conflict.turn_down, name="conflict_reject"),
    path("intents/<uuid:proposal_id>/history/", timeline.draft_history, name="draft_history"),
    path("intents/<uuid:proposal_id>/provenance/", provenance.draft_provenance, name="provenance"),
    # what needs an operator
    path("worklist/", worklist.worklist_page, name="worklist"),
    path("worklist/differences/<uuid:discrepancy_id>/take/", worklist.take, name="take"),
    path("worklist/differences/<uuid:discrepancy_id>/resolve/", delivery.resolve, name="resolve"),
    path("worklist/changes/<uuid:intent_id>/take/", worklist.take_change, name="take_change"),
    path("worklist/changes/<uuid:intent_id>/settle/", delivery.settle, name="settle"),
    path("worklist/changes/<uuid:intent_id>/resend/", delivery.resend, name="resend"),
    path("worklist/changes/<uuid:intent_id>/give-up/", delivery.give_up, name="give_up"),
    path("intents/changes/<uuid:intent_id>/take-back/", taking_back.take_back, name="take_back"),
    path("connections/", writing.writing_page, name="writing"),
    path("connections/<uuid:connection_id>/stop/", writing.stop_writing, name="stop_writing"),
    path("connections/stops/<uuid:switch_id>/ask/", writing.ask_release, name="ask_release"),
    path(
        "connections/stops/<uuid:switch_id>/release/",
        writing.release_writing,
        name="release_writing",
    ),
    path("connections/<uuid:connection_id>/promote/", writing.ask_promotion, name="ask_promotion"),
    path("connections/<uuid:connection_id>/back/", writing.go_back, name="go_back"),
    path(
        "connections/promotions/<uuid:promotion_id>/agree/",
        writing.agree_promotion,
        name="agree_promotion",
    ),
    path(
        "connections/promotions/<uuid:promotion_id>/withdraw/",
        writing.withdraw_promotion,
        name="withdraw_promotion",
    ),
    # patients and audit
    path("patients/", patients.patients_page, name="patients"),
    path("patients/<uuid:proposal_id>/", patients.patient_page, name="patient"),
    path("audit/", timeline.audit_page, name="audit"),
    path("audit/integrity/", integrity.integrity_page, name="integrity"),
    path("audit/integrity/check/", integrity.check_now, name="check_now"),
    path("audit/integrity/export/", integrity.export_proof, name="export_proof"),
]
