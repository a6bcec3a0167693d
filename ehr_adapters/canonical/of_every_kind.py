"""The fields that nearly every kind of change has, declared once. Pure."""

from datetime import timedelta
from typing import Annotated, Literal

from ehr_adapters.canonical.declaration import (
    ChangeIssue,
    ChartField,
    Comparison,
    Control,
    Owner,
    Risk,
)
from ehr_adapters.canonical.note import SENSITIVITY_WORDS
from ehr_adapters.canonical.types import Reference

EncounterField = Annotated[
    Reference | None,
    ChartField(
        label="Visit",
        risk=Risk.HIGH,
        owner=Owner.EHR,
        control=Control.REFERENCE,
        compare=Comparison.REFERENCE,
        element="encounter",
        refers_to=("Encounter",),
    ),
]
SensitivityField = Annotated[
    Literal["normal", "restricted", "very-restricted"] | None,
    ChartField(
        label="Sensitivity",
        risk=Risk.HIGH,
        owner=Owner.SHARED,
        control=Control.CHOICE,
        compare=Comparison.EXACT,
        element="meta.security",
        words=SENSITIVITY_WORDS,
        absent_means="normal",
    ),
]

SAYS_NOTHING = ChangeIssue("", "empty", "The change says nothing.")

# Clocks of devices, EHR and portal differ a little.
CLOCKS = timedelta(minutes=5)
