"""Is this draft sound, is it about this patient, does it fit this chart, and does its source say so?

`check` answers with findings and raises nothing. An error refuses the draft, a hold stops it until a
person clears it, and what needs a decision is a question on the review page.
"""

from intents.pipeline.validation.chart import speaks_of
from intents.pipeline.validation.checking import check
from intents.pipeline.validation.draft import Cited, Draft, Sibling, Waiting
from intents.pipeline.validation.duplicates import find_duplicate
from intents.pipeline.validation.findings import IDENTITY_HOLDS, Finding, Severity
from intents.pipeline.validation.wording import texts

__all__ = [
    "IDENTITY_HOLDS",
    "Cited",
    "Draft",
    "Finding",
    "Severity",
    "Sibling",
    "Waiting",
    "check",
    "find_duplicate",
    "speaks_of",
    "texts",
]
