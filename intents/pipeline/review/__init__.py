"""What people decide: approve, reject, edit, undo, promote, hold, release, recall, pass on.

`approving` is the one transaction of an approval; `editing` makes versions; `stopping` takes back and
stops; `refusals` are the sentences of what was not done. `locking` is the order of the locks.
"""

from intents.pipeline.review.approving import DecisionForm, approve, sign_in_limit
from intents.pipeline.review.editing import edit, take_over_as_author
from intents.pipeline.review.passing_on import (
    doers,
    may_pass_on,
    note_beside,
    put_into_note,
    send_as_task,
    was_passed_on,
)
from intents.pipeline.review.refusals import (
    REASON_CODES,
    AllOrNothing,
    AlreadyClaimed,
    ChartUnreadable,
    ChecksOpen,
    ConflictFound,
    ContentInvalid,
    DependsOnDropped,
    NotAllowed,
    NotApprovable,
    NotPending,
    PageOutOfDate,
    ReasonNeeded,
    ReviewRefused,
    RulesTightened,
    SignInAgain,
    TargetBusy,
    TooFast,
    TooLateToUndo,
)
from intents.pipeline.review.rejecting import reject
from intents.pipeline.review.stopping import hold, promote, recall, release, undo

__all__ = [
    "REASON_CODES",
    "AllOrNothing",
    "AlreadyClaimed",
    "ChartUnreadable",
    "ChecksOpen",
    "ConflictFound",
    "ContentInvalid",
    "DecisionForm",
    "DependsOnDropped",
    "NotAllowed",
    "NotApprovable",
    "NotPending",
    "PageOutOfDate",
    "ReasonNeeded",
    "ReviewRefused",
    "RulesTightened",
    "SignInAgain",
    "TargetBusy",
    "TooFast",
    "TooLateToUndo",
    "approve",
    "doers",
    "edit",
    "hold",
    "may_pass_on",
    "note_beside",
    "promote",
    "put_into_note",
    "recall",
    "reject",
    "release",
    "send_as_task",
    "sign_in_limit",
    "take_over_as_author",
    "undo",
    "was_passed_on",
]
