"""Every kind of event there is: one line each, "subject:aspect:action", with a sentence for people.

The sentence is read by a compliance officer beside the name of the actor and the time. It names no
patient and no value. A member is called what its value says, in capitals, without an aspect that
says nothing more; a value is stored in events for ever and is never renamed or reused. To add an
event, add a line.
"""

from enum import StrEnum
from typing import Self


class AuditTag(StrEnum):
    """What happened. `tag.sentence` tells it to a person."""

    sentence: str

    def __new__(cls, value: str, sentence: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    # --- proposals and their screening --------------------------------------------------------------
    INTENT_RECEIVED = ("intent:proposal:received", "A proposed change was received and recorded.")
    INTENT_PROPOSAL_REFUSED = (
        "intent:proposal:refused",
        "A proposal was refused at the door; nothing was recorded for review.",
    )
    INTENT_BASELINE_READ = (
        "intent:baseline:read",
        "The portal read the patient's chart itself, to compare the proposed change with.",
    )
    INTENT_BASELINE_UNREADABLE = (
        "intent:baseline:unreadable",
        "The EHR did not answer, so the chart could not be read; checking will be tried again.",
    )
    INTENT_BASELINE_MOVED = (
        "intent:baseline:moved",
        "The chart was changed elsewhere after the draft was made; the change was stopped for a person.",
    )
    INTENT_WIRE_FROZEN = (
        "intent:wire:frozen",
        "The exact request to the EHR was made and frozen, before anyone reviewed it.",
    )
    INTENT_VALIDATION_PASSED = (
        "intent:validation:passed",
        "The checks of structure, codes, chart and evidence found no error.",
    )
    INTENT_VALIDATION_FAILED = (
        "intent:validation:failed",
        "The checks of structure, codes, chart and evidence found an error; the change was refused.",
    )
    INTENT_POLICY_DECIDED = (
        "intent:policy:decided",
        "The rules decided who has to approve the change.",
    )
    INTENT_POLICY_APPROVED = (
        "intent:policy:approved",
        "The rules approved this exact change without a person, as the organisation had allowed.",
    )
    INTENT_POLICY_HELD = (
        "intent:policy:held",
        "The rules stopped the change until a person clears it.",
    )
    INTENT_POLICY_REJECTED = (
        "intent:policy:rejected",
        "The rules forbid the change; it was refused.",
    )

    # --- review -------------------------------------------------------------------------------------
    INTENT_REVIEW_CLAIMED = (
        "intent:review:claimed",
        "A reviewer took the draft, so that nobody else decides it at the same time.",
    )
    INTENT_REVIEW_UNCLAIMED = (
        "intent:review:unclaimed",
        "The reviewer was done with the draft; another person may open it to decide.",
    )
    INTENT_REVIEW_APPROVED = (
        "intent:review:approved",
        "A reviewer approved this exact change, over the bytes that will be sent.",
    )
    INTENT_REVIEW_SECONDED = (
        "intent:review:seconded",
        "A second reviewer, independent of the first, approved this exact change.",
    )
    INTENT_REVIEW_DIFFERED = (
        "intent:review:differed",
        "The two reviewers decided differently; a clinical lead has to settle it.",
    )
    INTENT_REVIEW_EDITED = (
        "intent:review:edited",
        "A reviewer edited the change; earlier approvals became void and it is checked again.",
    )
    INTENT_REVIEW_REJECTED = (
        "intent:review:rejected",
        "A reviewer refused the change and gave a reason.",
    )
    INTENT_REVIEW_PROMOTED = (
        "intent:review:promoted",
        "A reviewer took a draft that was only prepared and put it up for approval.",
    )
    INTENT_REVIEW_UNDONE = (
        "intent:review:undone",
        "A reviewer took the approval back before anything was sent.",
    )
    INTENT_REVIEW_HELD = (
        "intent:review:held",
        "The change was put on hold; it will not be sent until a person releases it.",
    )
    INTENT_REVIEW_RELEASED = (
        "intent:review:released",
        "A hold was lifted; the change is checked again from the start.",
    )
    INTENT_REVIEW_ADOPTED = (
        "intent:review:adopted",
        "A clinician took the change over as its author.",
    )
    INTENT_REVIEW_RECALLED = (
        "intent:review:recalled",
        "An approved change was recalled before it was sent.",
    )

    # --- looking at patient data ----------------------------------------------------------------------
    INTENT_PHI_VIEWED = (
        "intent:phi:viewed",
        "Clinical content of the change was shown to a person.",
    )
    INTENT_PATIENT_SEARCHED = (
        "intent:patient:searched",
        "A person searched for a patient's drafts and said why.",
    )
    INTENT_WIRE_VIEWED = (
        "intent:wire:viewed",
        "The exact request to the EHR was shown to a person.",
    )

    # --- writing to the EHR ---------------------------------------------------------------------------
    INTENT_WRITE_ENQUEUED = (
        "intent:write:enqueued",
        "The approved change was put in line for sending.",
    )
    INTENT_WRITE_SUBMITTED = (
        "intent:write:submitted",
        "Sending to the EHR began; this was recorded before anything left the portal.",
    )
    INTENT_WRITE_ACCEPTED = ("intent:write:accepted", "The EHR acknowledged the change.")
    INTENT_WRITE_REFUSED = (
        "intent:write:refused",
        "The EHR refused the content of the change; the chart is unchanged.",
    )
    INTENT_WRITE_UNCERTAIN = (
        "intent:write:uncertain",
        "It is not known whether the EHR applied the change; the portal will look before it sends again.",
    )
    INTENT_WRITE_NOT_SENT = (
        "intent:write:not_sent",
        "Nothing reached the EHR; the change waits to be sent again.",
    )
    INTENT_WRITE_HELD = (
        "intent:write:held",
        "Sending was stopped, because something changed after the approval; a person has to look.",
    )
    INTENT_EVIDENCE_BROKEN = (
        "intent:evidence:broken",
        "What is stored is not what was approved; nothing was sent, and somebody has to find out why.",
    )
    INTENT_WRITE_CONFLICT = (
        "intent:write:conflict",
        "The chart, or the right to write to it, changed before sending; nothing was written, and a person has to look.",
    )
    INTENT_WRITE_FAILED = (
        "intent:write:failed",
        "The change could not be written and is known not to be in the chart.",
    )
    INTENT_WRITE_RETRIED = (
        "intent:write:retried",
        "An operator put a failed change back in line; the approval still holds.",
    )
    INTENT_WRITE_FOUND = (
        "intent:write:found",
        "The portal looked into the chart and found the change there.",
    )
    INTENT_WRITE_ABSENT = (
        "intent:write:absent",
        "The portal looked into the chart, after waiting long enough, and the change is not there.",
    )
    INTENT_WRITE_ATTESTED = (
        "intent:write:attested",
        "A person settled from evidence whether the change is in the chart.",
    )
    INTENT_WRITE_RECONCILED = (
        "intent:write:reconciled",
        "The change was read back from the EHR and is what was approved.",
    )
    INTENT_WRITE_STRAY = (
        "intent:write:stray",
        "An answer came from an attempt that had already been given up; it was recorded and settled nothing.",
    )
    INTENT_WRITE_WAITING = (
        "intent:write:waiting",
        "The change waits in the EHR for someone there to accept it.",
    )
    INTENT_PROVENANCE_SUBMITTED = (
        "intent:provenance:submitted",
        "The record of who drafted and who approved the change is being filed beside it in the EHR.",
    )
    INTENT_PROVENANCE_FILED = (
        "intent:provenance:filed",
        "The EHR holds the record of who drafted and who approved the change.",
    )
    INTENT_PROVENANCE_NOT_FILED = (
        "intent:provenance:not_filed",
        "The record of who drafted and who approved the change is not known to be in the EHR; it is kept here.",
    )
    INTENT_PROVENANCE_VIEWED = (
        "intent:provenance:viewed",
        "A person took out the record of who drafted and who approved the change.",
    )
    INTENT_DRIFT_SEEN = ("intent:drift:seen", "Saved again since; what was approved stands.")
    INTENT_CORRECTION_DRAFTED = ("intent:correction:drafted", "A draft to take it back was made.")
    INTENT_WRITE_TAKEN = ("intent:write:taken", "A person took over what is to be done about it.")
    INTENT_SENDING_HELD = ("intent:sending:held", "Nothing is sent for one quarantine: a restore.")
    INTENT_HAND_DECLARED = (
        "intent:hand:declared",
        "A person said that they typed the change into the EHR by hand.",
    )
    INTENT_HAND_SEEN = (
        "intent:hand:seen",
        "The chart was seen to hold what was to be typed by hand.",
    )
    INTENT_HAND_MISSED = (
        "intent:hand:missed",
        "The chart was watched for what was to be typed by hand and did not show it.",
    )
    INTENT_DISCREPANCY_OPENED = (
        "intent:discrepancy:opened",
        "What the EHR holds differs from what was approved; a person has to settle it.",
    )
    INTENT_DISCREPANCY_RESOLVED = (
        "intent:discrepancy:resolved",
        "A difference between the EHR and what was approved was settled.",
    )
    INTENT_DISCREPANCY_ASSIGNED = (
        "intent:discrepancy:assigned",
        "A difference between the EHR and what was approved was given to a person.",
    )

    # --- the other ends of a change -------------------------------------------------------------------
    INTENT_WITHDRAWN = (
        "intent:lifecycle:withdrawn",
        "The change was withdrawn by its author before anything was sent.",
    )
    INTENT_EXPIRED = ("intent:lifecycle:expired", "The time for deciding the change ran out.")
    INTENT_APPROVAL_EXPIRED = (
        "intent:approval:expired",
        "The approval ran out before the change could be written; nothing more will be sent.",
    )
    INTENT_SUPERSEDED = ("intent:lifecycle:superseded", "The change was replaced by a newer one.")
    INTENT_GIVEN_UP = (
        "intent:lifecycle:cancelled",
        "The change was given up; nothing will be sent.",
    )
    INTENT_ESCALATED = (
        "intent:lifecycle:escalated",
        "The change waited too long and its owner was told.",
    )

    # --- who may ask, decide and write ------------------------------------------------------------------
    GOVERNANCE_TENANT_CREATED = (
        "governance:tenant:created",
        "An organisation's workspace was made.",
    )
    GOVERNANCE_TENANT_CHANGED = (
        "governance:tenant:changed",
        "Settings of the organisation's workspace were changed.",
    )
    GOVERNANCE_PERSON_ADDED = ("governance:person:added", "A person was given an account.")
    GOVERNANCE_PERSON_CHANGED = ("governance:person:changed", "A person's account was changed.")
    GOVERNANCE_PERSON_DEACTIVATED = (
        "governance:person:deactivated",
        "A person's account was closed; the person can no longer sign in.",
    )
    GOVERNANCE_PERSON_REACTIVATED = (
        "governance:person:reactivated",
        "A person's closed account was opened again.",
    )
    GOVERNANCE_PERSON_LINKED = (
        "governance:person:linked",
        "A person was linked to an identity in the EHR.",
    )
    GOVERNANCE_PERSON_UNLINKED = (
        "governance:person:unlinked",
        "The link between a person and an identity in the EHR was ended.",
    )
    GOVERNANCE_MEMBERSHIP_GRANTED = (
        "governance:membership:granted",
        "A person was given a role in the organisation.",
    )
    GOVERNANCE_MEMBERSHIP_CHANGED = (
        "governance:membership:changed",
        "A person's role in the organisation was changed.",
    )
    GOVERNANCE_MEMBERSHIP_ENDED = (
        "governance:membership:ended",
        "A person's role in the organisation was taken away.",
    )
    GOVERNANCE_AGENT_ADDED = ("governance:agent:added", "An agent was admitted.")
    GOVERNANCE_AGENT_CHANGED = ("governance:agent:changed", "Settings of an agent were changed.")
    GOVERNANCE_AGENT_SUSPENDED = (
        "governance:agent:suspended",
        "An agent was suspended; it can no longer propose anything.",
    )
    GOVERNANCE_AGENT_RESUMED = ("governance:agent:resumed", "A suspended agent was admitted again.")
    GOVERNANCE_AGENT_RELEASED = (
        "governance:agent:released",
        "A new release of an agent, with its model and prompts, was recorded.",
    )
    GOVERNANCE_CREDENTIAL_ISSUED = (
        "governance:credential:issued",
        "An agent was given a credential.",
    )
    GOVERNANCE_CREDENTIAL_REVOKED = (
        "governance:credential:revoked",
        "A credential of an agent was revoked.",
    )
    GOVERNANCE_TOKEN_ISSUED = (
        "governance:token:issued",
        "An agent signed in and was given an access token for a few minutes.",
    )
    GOVERNANCE_TOKEN_REFUSED = ("governance:token:refused", "A sign-in of an agent was refused.")
    GOVERNANCE_SCOPE_GRANTED = (
        "governance:scope:granted",
        "An agent was allowed to propose one kind of change.",
    )
    GOVERNANCE_SCOPE_REVOKED = (
        "governance:scope:revoked",
        "A permission of an agent to propose changes was taken away.",
    )
    GOVERNANCE_SCOPE_REFUSED = (
        "governance:scope:refused",
        "An agent asked for something that it is not allowed to propose.",
    )
    GOVERNANCE_CONSENT_RECORDED = (
        "governance:consent:recorded",
        "A patient's consent or refusal was recorded.",
    )
    GOVERNANCE_CONSENT_ENDED = (
        "governance:consent:ended",
        "A patient's recorded consent or refusal was ended.",
    )
    GOVERNANCE_CONNECTION_ADDED = (
        "governance:connection:added",
        "A connection to an EHR was set up.",
    )
    GOVERNANCE_CONNECTION_CHANGED = (
        "governance:connection:changed",
        "Settings of a connection to an EHR were changed.",
    )
    GOVERNANCE_CONNECTION_PROBED = (
        "governance:connection:probed",
        "A connection to an EHR was asked what it admits.",
    )
    GOVERNANCE_CONNECTION_SUSPENDED = (
        "governance:connection:suspended",
        "Writing through a connection to an EHR was switched off.",
    )
    GOVERNANCE_CONNECTION_RESUMED = (
        "governance:connection:resumed",
        "Writing through a connection to an EHR was switched on.",
    )
    GOVERNANCE_ROLLOUT_ASKED = (
        "governance:rollout:asked",
        "One person asked to take a connection to its next stage; a second has to agree.",
    )
    GOVERNANCE_ROLLOUT_AGREED = (
        "governance:rollout:agreed",
        "A second person agreed to take a connection to its next stage.",
    )
    GOVERNANCE_ROLLOUT_WITHDRAWN = ("governance:rollout:withdrawn", "The wish was taken back.")
    GOVERNANCE_ROLLOUT_PROMOTED = (
        "governance:rollout:promoted",
        "A connection went on to its next stage: more of what is approved is sent.",
    )
    GOVERNANCE_ROLLOUT_RETURNED = (
        "governance:rollout:returned",
        "A connection went back to an earlier stage: less of what is approved is sent.",
    )
    GOVERNANCE_POLICY_ACTIVATED = ("governance:policy:activated", "New rules came into force.")
    GOVERNANCE_POLICY_RETIRED = ("governance:policy:retired", "Rules went out of force.")
    GOVERNANCE_KILLSWITCH_ENGAGED = (
        "governance:killswitch:engaged",
        "Writing was stopped by a kill switch; reading goes on.",
    )
    GOVERNANCE_KILLSWITCH_RELEASE_ASKED = (
        "governance:killswitch:release_asked",
        "One person asked for a kill switch to be released; a second has to agree.",
    )
    GOVERNANCE_KILLSWITCH_RELEASED = (
        "governance:killswitch:released",
        "A second person agreed and the kill switch was released; writing goes on.",
    )
    GOVERNANCE_KEY_ROTATED = (
        "governance:key:rotated",
        "An encryption or signing key was replaced.",
    )

    # --- people signing in ------------------------------------------------------------------------------
    SESSION_PERSON_SIGNED_IN = ("session:person:signed_in", "A person signed in.")
    SESSION_PERSON_SIGN_IN_FAILED = (
        "session:person:sign_in_failed",
        "Somebody tried to sign in and was refused.",
    )
    SESSION_PERSON_SIGNED_OUT = ("session:person:signed_out", "A person signed out.")
    SESSION_PERSON_TIMED_OUT = (
        "session:person:timed_out",
        "A person was signed out after a time without activity.",
    )
    SESSION_PERSON_REAUTHENTICATED = (
        "session:person:reauthenticated",
        "A person proved again who they are, for a decision.",
    )
    SESSION_PERSON_LOCKED_OUT = (
        "session:person:locked_out",
        "Signing in was blocked for a while after too many failures.",
    )
    SESSION_FACTOR_ADDED = ("session:factor:added", "A person added a second factor or passkey.")
    SESSION_FACTOR_REMOVED = (
        "session:factor:removed",
        "A person removed a second factor or passkey.",
    )
    SESSION_PASSWORD_CHANGED = ("session:password:changed", "A person changed their password.")
    SESSION_TENANT_CHOSEN = (
        "session:tenant:chosen",
        "A person chose which organisation to work in.",
    )
    SESSION_ACCESS_REFUSED = (
        "session:access:refused",
        "A person asked for something that their role does not allow.",
    )

    # --- the audit itself -------------------------------------------------------------------------------
    AUDIT_LOG_VIEWED = ("audit:log:viewed", "A person looked at the audit timeline.")
    AUDIT_SEARCH_RAN = ("audit:search:ran", "A person searched the audit timeline.")
    AUDIT_EXPORT_MADE = (
        "audit:export:made",
        "A copy of the audit log was taken out of the portal.",
    )
    AUDIT_VERIFICATION_RAN = (
        "audit:verification:ran",
        "The whole audit log was recomputed and compared with its signatures.",
    )
    AUDIT_BODY_VIEWED = ("audit:body:viewed", "A person looked at the details of an event.")
    AUDIT_BODY_SHREDDED = (
        "audit:body:shredded",
        "The details of events were destroyed on purpose; the proof that they existed remains.",
    )


def describe(tag: str) -> str:
    """The sentence for a stored tag. An unknown tag (written by a newer release) is shown as it is."""
    try:
        return AuditTag(tag).sentence  # type: ignore[call-arg]  # by value, as every enum
    except ValueError:
        return f"An event of a kind that this release does not know: {tag}."


# An approval that dispatch may rely on carries `payload_hash` in its body, as the submission does;
# verification pairs the two. These are the events that make such an approval ...
APPROVALS = frozenset(
    {
        AuditTag.INTENT_REVIEW_APPROVED,
        AuditTag.INTENT_REVIEW_SECONDED,
        AuditTag.INTENT_POLICY_APPROVED,
    }
)
# ... and these take it away again, so that what is sent afterwards needs a new one.
VOIDS_APPROVAL = frozenset(
    {
        AuditTag.INTENT_REVIEW_EDITED,
        AuditTag.INTENT_REVIEW_UNDONE,
        AuditTag.INTENT_REVIEW_RELEASED,
        AuditTag.INTENT_REVIEW_REJECTED,
        AuditTag.INTENT_REVIEW_RECALLED,
        AuditTag.INTENT_BASELINE_MOVED,
        AuditTag.INTENT_WITHDRAWN,
        AuditTag.INTENT_EXPIRED,
        AuditTag.INTENT_APPROVAL_EXPIRED,
        AuditTag.INTENT_SUPERSEDED,
        AuditTag.INTENT_GIVEN_UP,
    }
)
