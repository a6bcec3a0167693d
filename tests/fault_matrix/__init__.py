"""`docs/fault-matrix.md`: what may go wrong between an approval and the chart, and the tests that prove each row.

The rows are written by hand in `rows.py`. Which test proves a row is said by the test itself:

    @pytest.mark.fault("clock-jump")
    def test_a_clock_that_jumps_ends_no_quarantine(): ...

What the practice EHRs can be made to do is read from their own code (`practices.py`), so that a misbehaviour
which is added there and proven nowhere fails `make check`. Everything is read as source; nothing is imported.
"""
