"""The sections of the report.

Each has a TITLE, `measure(plan)`, which yields records, and `tables(records)`, `claims(records)`
and `draw(records, folder)`, which make tables, lines of the summary and charts of them; `draw`
returns the names of its charts.
"""
