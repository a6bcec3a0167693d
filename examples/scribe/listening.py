"""The consultation heard from beginning to end: who asks, who answers, what may be said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from examples.scribe import clauses as cutting
from examples.scribe import clinician, questions
from examples.scribe import words as spoken_words
from examples.scribe.clauses import Clause
from examples.scribe.patient import PatientSide
from examples.scribe.speakers import Cast, Role, cast
from examples.scribe.statement import Statement
from examples.scribe.transcript import Transcript


@dataclass
class Reading:
    """What the scribe understood."""

    statements: list[Statement] = field(default_factory=list)
    clauses: list[Clause] = field(default_factory=list)
    cast: Cast = field(default_factory=lambda: Cast({}, exchanged=False))


def listen(*, transcript: Transcript) -> Reading:
    """Everything that may be said of the consultation, in the order in which it was said."""
    turns = [
        cutting.of_turn(transcript=transcript, index=index, turn=turn)
        for index, turn in enumerate(transcript.turns)
    ]
    turns = _numbered(_mended(turns))
    flat = [clause for turn in turns for clause in turn]
    listener = _Listener(transcript=transcript, roles=cast(clauses=flat), clauses=flat)
    for index, spoken in enumerate(turns):
        if spoken:
            listener.hear(
                index=index, spoken=spoken, following=next((t for t in turns[index + 1 :] if t), [])
            )
    statements = sorted(listener.statements, key=lambda statement: statement.order)
    return Reading(statements=statements, clauses=flat, cast=listener.roles)


def _numbered(turns: Sequence[Sequence[Clause]]) -> list[list[Clause]]:
    number = 0
    out: list[list[Clause]] = []
    for turn in turns:
        out.append([])
        for clause in turn:
            out[-1].append(replace(clause, number=number))
            number += 1
    return out


def _mended(turns: list[list[Clause]]) -> list[list[Clause]]:
    """A sentence that the listener's mm-hmm cut in two is one sentence."""
    out = [list(turn) for turn in turns]
    for index, turn in enumerate(out):
        if not turn or not turn[-1].cut_off or questions.is_question(turn[-1]):
            continue
        for later in range(index + 1, min(index + 4, len(out))):
            if not out[later] or (
                out[later][0].speaker != turn[-1].speaker and questions.is_backchannel(out[later])
            ):
                continue
            if out[later][0].speaker == turn[-1].speaker and not out[later][0].lead:
                first, second = turn[-1], out[later][0]
                joined = spoken_words.tidy([*first.words, *second.words])
                turn[-1] = replace(
                    first,
                    words=tuple(joined),
                    mark=second.mark,
                    unclear=first.unclear or second.unclear,
                    cut_off=second.cut_off,
                )
                del out[later][0]
            break
    return out


class _Listener:
    """Keeps the question that is open while the other speaker answers."""

    def __init__(self, *, transcript: Transcript, roles: Cast, clauses: Sequence[Clause]) -> None:
        self.transcript = transcript
        self.roles = roles
        self.names = clinician.names_called(clauses, roles)
        self.patient = PatientSide(transcript=transcript, companion=roles.companion)
        self.from_clinician: list[Statement] = []
        # Where the patient does not speak, it is somebody else who is called you.
        cast_of = set(roles.roles.values())
        alone = Role.COMPANION in cast_of and Role.PATIENT not in cast_of
        self.addressed = roles.companion if alone else "patient"
        self.open: list[Clause] = []
        self.fresh = False  # nobody has begun to answer yet
        self.patient_heard = False

    @property
    def statements(self) -> list[Statement]:
        return [*self.patient.found, *self.from_clinician]

    def hear(self, *, index: int, spoken: list[Clause], following: Sequence[Clause]) -> None:
        """One turn."""
        role = self.roles.roles[spoken[0].speaker]
        if role is not Role.CLINICIAN:
            self._patient(spoken=spoken, by_patient=role is Role.PATIENT, following=following)
            self.patient_heard = True
            return
        for clause in spoken:
            self.patient.mind(clause)
        if not questions.is_backchannel(spoken):
            self.patient.turn_to(spoken)
        asked = questions.asked(spoken)
        if asked:
            several = (
                len(asked) > 1
                or len([c for c in spoken if not questions.BACKCHANNEL.fullmatch(c.low)]) > 1
            )
            self.open = (
                []
                if several and self._overlapped(index, following[0].turn if following else None)
                else asked
            )
            self.fresh = True
        elif not questions.is_backchannel(spoken):
            self.open, self.fresh = [], False
        contradicted = (
            bool(following)
            and following[0].lows[:1] == ["no"]
            and (self.roles.roles[following[0].speaker] is not Role.CLINICIAN and not asked)
        )
        told = [clause for clause in spoken if not questions.is_question(clause)]
        if contradicted:
            told = told[:-1]
        self.from_clinician += clinician.statements(
            clauses=told,
            names=self.names,
            dictating=not self.patient_heard,
            addressed=self.addressed,
        )

    def _overlapped(self, index: int, next_index: int | None) -> bool:
        """Both spoke at once: which of several questions is answered cannot be told."""
        here, after = (
            self.transcript.turns[index],
            [self.transcript.turns[next_index]] if next_index is not None else [],
        )
        if (
            not after
            or here.until is None
            or after[0].at is None
            or after[0].speaker == here.speaker
        ):
            return False
        return after[0].at < here.until - 0.3

    def _patient(
        self, *, spoken: list[Clause], by_patient: bool, following: Sequence[Clause]
    ) -> None:
        rest: Sequence[Clause] = spoken
        # "No." "Occasionally, yes.": the first word answered something else.
        goes_on = (
            questions.is_backchannel(spoken)
            and bool(following)
            and following[0].speaker == spoken[0].speaker
            and not questions.is_backchannel(following)
        )
        if goes_on and self.fresh:
            return
        fresh = self.fresh
        self.patient.teller = "patient" if by_patient else self.roles.companion
        if self.open and self.fresh:
            rest = self.patient.answer(
                spoken=spoken, open_questions=self.open, by_patient=by_patient
            )
        self.fresh = False
        self.patient.tell(
            clauses=rest,
            question=self.open[-1] if self.open else None,
            by_patient=by_patient,
            fresh=fresh,
        )
