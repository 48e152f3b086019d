"""The pages of a report, from what is in results.json."""

import charts
from peers import settings_table
from tables import COLUMNS, Table

START, END = "<!-- report: start -->", "<!-- report: end -->"
PER_SECTION = 2  # lines of the README's table


def write(results, modules, folder):
    """Write a page per section and index.md; return the summary's claims by section."""
    folder.mkdir(parents=True, exist_ok=True)
    claims = {}
    for name, module in modules.items():
        records = results.records(name)
        if not records:
            continue
        claims[name] = list(module.claims(records))
        (folder / f"{name}.md").write_text(_page(name, module, records, results, folder))
    _ratio_chart(claims, folder)
    (folder / "index.md").write_text(_index(claims, modules, results))
    return claims


def _page(name, module, records, results, folder):
    section = results.sections[name]
    parts = [f"# {module.TITLE}", _origin(section)]
    if not section["complete"]:
        parts.append("The run was interrupted: some lines are missing.")
    parts += [table.markdown() for table in module.tables(records) if table.rows]
    parts += [f"![{module.TITLE}]({chart}.png)" for chart in module.draw(records, folder)]
    return "\n\n".join(parts) + "\n"


def _origin(section):
    facts = section["machine"]
    versions = [f"{name} {v}" for name, v in facts["versions"].items() if v]
    absent = [name for name, v in facts["versions"].items() if v is None]
    text = (
        f"`{section['command']}`, {facts['date']}, commit {facts['commit']}, {facts['cores']} "
        f"cores of {facts['cpu']}, {facts['memory_gb']} GB, Python {facts['python']}, "
        f"{', '.join(versions)}"
    )
    text += f"; not installed: {', '.join(absent)}" if absent else ""
    return f"{text}. Threads of OpenMP and BLAS: 1 unless said. Took {section['seconds']:.0f} s."


def _index(claims, modules, results):
    rows = [claim.row() for some in claims.values() for claim in some]
    lost = [claim for some in claims.values() for claim in some if claim.verdict()]
    sections = [results.sections[name] for name in claims]
    head = {**sections[0], "seconds": sum(s["seconds"] for s in sections)} if claims else None
    pages = [f"- [{modules[name].TITLE}]({name}.md)" for name in claims]
    losses = [
        f"- {c.what}: {c.reached}, asked {c.asked or 'nothing'}, {c.rival or 'no rival'} "
        f"({c.verdict()})" for c in lost
    ]  # fmt: skip
    note = (
        "Times are CPU seconds of one thread unless the page says wall. \"Times ahead\": rival / "
        "pyconvex where both did the same work. Earlier figures of rivals are of November 2026, "
        "published ones of other machines; all others were measured in this run."
    )  # fmt: skip
    parts = ["# Benchmarks", _origin(head) if head else "", "\n".join(pages)]
    parts += [Table("Asked and reached, beside rivals", COLUMNS, rows, note).markdown()]
    parts += [
        "![How many times ahead](ratios.png)",
        f"## Where we lose ({len(lost)} of {len(rows)})",
    ]
    parts += ["\n".join(losses) or "Nowhere in this run.", settings_table().markdown()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _ratio_chart(claims, folder):
    ratios = {c.what: c.ratio for some in claims.values() for c in some if c.ratio is not None}
    if ratios:
        size = (8.0, 1.2 + 0.19 * len(ratios))
        with charts.chart(folder, "ratios", size=size) as (axis,):
            charts.ratios(axis, ratios, "How many times ahead of the fastest rival")


def update_readme(path, claims, results):
    """Replace what stands between the two marks by the summary and one chart."""
    text = path.read_text()
    before, mark, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{path} has no marks {START} and {END}")
    rows = [claim.row() for some in claims.values() for claim in _spread(some)]
    lost = sum(bool(claim.verdict()) for some in claims.values() for claim in some)
    total = sum(map(len, claims.values()))
    section = results.sections[next(iter(claims))]
    facts = section["machine"]
    table = Table(
        f"{facts['cores']} cores of {facts['cpu']}, one thread, {facts['date']}", COLUMNS, rows,
        f"Of {total} figures {lost} miss what was asked or lose to a rival: [all of them, and "
        "where we lose](docs/benchmarks/index.md).",
    ).markdown()  # fmt: skip
    chart = "![How many times ahead of the fastest rival](docs/benchmarks/ratios.png)"
    path.write_text(f"{before}{START}\n{table}\n\n{chart}\n{END}{after}")


def _spread(claims):
    """A few claims of a section: its first and last ones with a rival, and the worst."""
    rivals = [c for c in claims if c.rival] or [c for c in claims if c.met is not None]
    chosen = rivals[:1] + rivals[-1:] if len(rivals) > PER_SECTION else rivals
    worst = min((c for c in rivals if c.ratio is not None), key=lambda c: c.ratio, default=None)
    return list(dict.fromkeys([*chosen, *([worst] if worst else [])]))
