"""The rows of the page: what may go wrong, where the change is afterwards, and what decides."""

from typing import NamedTuple


class Row(NamedTuple):
    """One thing that may go wrong: where a change has to be afterwards, and what decides."""

    id: str
    point: str
    afterwards: str
    decision: str


ROWS = (
    Row("dies-before-claim", "The worker dies before it has claimed",
        "`APPROVED`", "Nothing was committed; the next worker takes it."),
    Row("dies-after-claim", "The worker dies between its claim and the request",
        "`SUBMITTED`, then `UNCERTAIN`", "After the quarantine a search finds nothing, and it is sent once."),
    Row("dies-in-flight", "The worker dies while the EHR works on the request",
        "`SUBMITTED`, then `UNCERTAIN`", "A search for the tag finds it; nothing is sent again."),
    Row("dies-after-answer", "The worker dies with the answer in hand, before it has recorded it",
        "`SUBMITTED`, then `UNCERTAIN`", "A search for the tag finds it; nothing is sent again."),
    Row("broker-lost", "The broker is down, or loses every message",
        "`APPROVED`", "A message only wakes; the sweep of the database finds what is due."),
    Row("delivered-twice", "A wake-up comes many times, late and out of order",
        "one attempt", "The claim compares and sets: one of them takes the entry."),
    Row("workers-race", "Several workers want the same entry",
        "one attempt", "A unique index admits one open attempt of a change."),
    Row("worker-asleep", "A worker is stopped for hours and wakes up, or is killed for good",
        "`UNCERTAIN`", "It looks before the socket whether the row is still its own; its token is dead by then."),
    Row("slowed-down", "The EHR asks to be left alone (429)",
        "`APPROVED`, later", "Never sooner than it asked; after five silences one reading tries it."),
    Row("maintenance", "The EHR is in maintenance (503), not proven to have refused before it processed",
        "`UNCERTAIN`", "As a lost answer: look, and send only what is proven absent."),
    Row("answer-lost", "The EHR wrote it, and answers with an error or not at all",
        "`UNCERTAIN`", "A search for the tag, and a comparison of what was found."),
    Row("late-commit", "The EHR writes it long after the portal gave up waiting",
        "`UNCERTAIN` until the quarantine is over", "The quarantine outlasts the time that an EHR may take."),
    Row("no-id", "Acknowledged without the id that the EHR promised",
        "`UNCERTAIN`", "A search for the tag finds the id."),
    Row("altered", "Acknowledged, and fields were left out or altered",
        "`ACCEPTED` with an open difference", "The read-back compares; a person decides."),
    Row("version-conflict", "The EHR says that the entry has another version (412)",
        "`HELD`; `ACCEPTED` where it is our own", "Read what is there: our tag and our content, or somebody else's."),
    Row("token-expires", "The token expires on the way",
        "`APPROVED` after a 401, else `UNCERTAIN`", "A fresh token for the next attempt, never within one."),
    Row("partial-batch", "A part of what belongs together is written",
        '`UNCERTAIN` with the difference "partial"',
        "Batches are not sent; what stops half way is a person's."),
    Row("database-gone", "The database goes away after the sending",
        "`SUBMITTED`, then `UNCERTAIN`", "As a worker that died."),
    Row("failover", "A stand-by takes over that lacks the last commits",
        "`APPROVED`, and `HELD` where no search helps",
        "All sending rests for one quarantine; then every send begins with a search."),
    Row("audit-full", "The audit log takes no more (disk full)",
        "`APPROVED`", "The claim rolls back with its event: nothing is sent that is not recorded."),
    Row("scheduler-down", "Nothing is scheduled for an hour",
        "as before", "Nothing is lost and nothing ends early; the status page names what is missing."),
    Row("clock-jump", "The wall clock jumps",
        "`APPROVED`, `UNCERTAIN` for as long as before",
        "The quarantine counts the portal's own ticks; whoever begins to send asks again whose turn it is."),
    Row("same-target", "Two changes want the same entry",
        "one waits", "One in flight for an entry; the other is compared with what the first has left."),
    Row("switched-off", "Writing is stopped while something is being sent",
        "`APPROVED`, `ACCEPTED` or `UNCERTAIN`",
        "Asked at the claim and just before the socket; what is on its way is listed and settles."),
    Row("approval-undercut", "What the approval rested on is gone: consent, rules, approver, agent, visit, patient, target",
        "`HELD`", "Asked at the claim and again as the last thing before the socket; a person decides."),
)  # fmt: skip


class Fact(NamedTuple):
    """Something that a vendor's EHR is known to do, which the practice EHR does as well."""

    vendor: str
    name: str
    does: str

    @property
    def id(self) -> str:
        return f"{self.vendor}.{self.name}"


FACTS = (
    Fact("generic", "bare-201", "A new entry is answered with a relative address and nothing else"),
    Fact("generic", "conditional-create", "A conditional create finds one entry, or several, and files nothing"),
    Fact("generic", "stale-if-match", "A change of a version that is not the current one is refused"),
    Fact("epic", "bare-201", "A new entry is answered with a relative address, without body and version"),
    Fact("epic", "conditions-ignored", "A create on a condition is carried out whatever the condition says"),
    Fact("epic", "empty-403", "What the application is not registered for is refused without a word"),
    Fact("epic", "holding-tank", "What waits to be reconciled is shown by no search and no reading"),
    Fact("epic", "notes-twice", "A note that is sent twice is filed twice"),
    Fact("epic", "vitals-twice", "A measurement that is sent twice is refused as already there"),
    Fact("epic", "provisional-only", "Problems other than provisional ones are refused"),
    Fact("epic", "merged-redirect", "A merged patient is answered with a redirect and a number"),
    Fact("epic", "flowsheet-rows", "Measurements need a row that this customer has mapped"),
    Fact("athenahealth", "department", "Nearly every write needs a department of the practice"),
    Fact("athenahealth", "form-fields", "Writes are form fields; a body in JSON says nothing"),
    Fact("athenahealth", "false-success", "A refusal comes with 200 and success false"),
    Fact("athenahealth", "put-without-id", "An allergy is put whole, added or changed, and answered without an id"),
    Fact("athenahealth", "own-numbers", "Allergens and medicines go by the vendor's own numbers, looked up by name"),
    Fact("athenahealth", "closed-visit", "A closed visit takes nothing, and says so in words"),
    Fact("athenahealth", "tokens-a-minute", "Too many tokens in a minute, and none is given until it is over"),
    Fact("athenahealth", "calls-a-day", "Each call costs of the day, and the answer says what is left"),
    Fact("eclinicalworks", "transactions-only", "A write is a transaction of one entry to the base address"),
    Fact("eclinicalworks", "number-in-200", "The outcome is a number inside a success of HTTP"),
    Fact("eclinicalworks", "app-data", "What is taken waits until a user reconciles it, and is not shown before"),
    Fact("eclinicalworks", "calls-a-minute", "Tokens and calls share one minute; over it, all is refused until its end"),
    Fact("eclinicalworks", "short-tokens", "A token lives five minutes"),
    Fact("eclinicalworks", "locked-visit", "A locked visit takes no note (139)"),
    Fact("eclinicalworks", "exists-already", "202 means that it exists already, and is not HTTP's 202"),
    Fact("eclinicalworks", "no-default-user", "Without a default user nothing can be written (308)"),
    Fact("eclinicalworks", "notes-as-hl7", "A note is an HL7 version 2 message; its 308 means something else"),
    Fact("advancedmd", "two-logins", "A login names the practice's server, and is repeated there"),
    Fact("advancedmd", "fault-in-200", "A refusal is a fault inside a success of HTTP"),
    Fact("advancedmd", "session-ends", "A session ends in the middle (1025)"),
    Fact("advancedmd", "billed-calls", "Calls beyond the free ones are carried out and billed"),
    Fact("advancedmd", "templates-only", "A note is the fields of a template; there is no free text"),
    Fact("advancedmd", "lists-collapse", "A list of one entry comes as the entry alone"),
    Fact("veradigm", "error-in-200", "A refusal is an error inside a success of HTTP, in free words"),
    Fact("veradigm", "two-layers", "A token is good for nothing until a user of the EHR is signed in"),
    Fact("veradigm", "idle-session", "A session that was idle is logged out, in words"),
    Fact("veradigm", "licensed-actions", "An action that is not licensed is refused, in words"),
    Fact("veradigm", "two-calls", "A document takes two calls; after the first alone a stub is left"),
    Fact("veradigm", "no-versions", "Nothing has a version, and no condition is looked at"),
)  # fmt: skip
