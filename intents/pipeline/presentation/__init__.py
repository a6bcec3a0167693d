"""What the reviewer sees, drawn from the frozen bytes.

`build` parses the wire plan back and lays it beside the portal's own baseline and the quoted sources.
`ReviewPage.view_hash` covers everything that bears on the decision; approval recomputes it.
"""

from intents.pipeline.presentation.banner import NotPresentable
from intents.pipeline.presentation.building import build
from intents.pipeline.presentation.page import (
    Banner,
    Card,
    Check,
    ContextEntry,
    CopyView,
    Option,
    Piece,
    Quote,
    ReviewPage,
    Row,
    SectionView,
    SourceView,
    Statement,
)
from intents.pipeline.presentation.saying import entry_words

__all__ = [
    "Banner",
    "Card",
    "Check",
    "ContextEntry",
    "CopyView",
    "NotPresentable",
    "Option",
    "Piece",
    "Quote",
    "ReviewPage",
    "Row",
    "SectionView",
    "SourceView",
    "Statement",
    "build",
    "entry_words",
]
