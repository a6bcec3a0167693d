"""The core of dispatch and reconciliation, without input or output; the simulation runs it.

`deciding.decide(delivery, event)` answers with the next state and what has to be written beside it:
with the table in `rulings` it is the whole retry policy. `attempt.attempt()` is the order of one
attempt: a generator that asks for a token, a reading of the chart, a search, a last look at the
switches and the sending of each request. Dispatch answers its questions with a real EHR, the
simulation with a faulty one. `looking` says when to look again and when to leave an EHR alone.

Time: approvals end by the wall clock, quarantines by ticks, because a clock that jumps must not end
a quarantine early. Chance (the jitter of back-off) comes in with the event.
"""
