"""What an agent may know: its connections, its own proposals, and what became of them.

Ids, codes and pointers. No clinical content goes back to an agent from here: a reviewer's words stay
with the people.
"""

from intents.queries.agents.connecting import AcceptanceView, ConnectionView, connections
from intents.queries.agents.cursors import CursorUnreadable
from intents.queries.agents.learning import Event, FeedbackItem, FeedbackPage, feedback
from intents.queries.agents.reporting import (
    ChangeView,
    DecisionView,
    DeliveryView,
    FindingView,
    ProposalPage,
    ProposalState,
    ProposalView,
    get_proposal,
    proposals,
)

__all__ = [
    "AcceptanceView",
    "ChangeView",
    "ConnectionView",
    "CursorUnreadable",
    "DecisionView",
    "DeliveryView",
    "Event",
    "FeedbackItem",
    "FeedbackPage",
    "FindingView",
    "ProposalPage",
    "ProposalState",
    "ProposalView",
    "connections",
    "feedback",
    "get_proposal",
    "proposals",
]
