"""The real records under faults: a Hypothesis state machine drives the pipeline, the practice EHR misbehaves.

`organisations` furnishes two clinics on one EHR; `clinics`, `people` and `world` are what agents, people,
workers and colleagues do; `watching` and `wire` look after each of these steps whether everything that must
hold still holds; `machine` chooses the steps and `running` how many; `planted` breaks the product on purpose.
"""
