"""What a report measured: results.json, written after every record."""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

import machine


class Plan(NamedTuple):
    """How a report measures."""

    quick: bool
    repeats: int
    rival_seconds: float
    steps: int  # of rivals that train networks

    def chosen(self, sizes):
        return sizes.chosen(self.quick)


class Results:
    """Records by section: dictionaries that JSON can hold. One file, replaced as a whole."""

    def __init__(self, folder):
        self.path = Path(folder) / "results.json"
        self.sections = {}
        if self.path.exists():
            self.sections = json.loads(self.path.read_text())["sections"]

    def measure(self, name, records, command):
        """Collect the records of a section as they come; what there was before is replaced."""
        start = time.monotonic()
        section = {"machine": machine.describe(), "command": command, "complete": False}
        self.sections[name] = section | {"seconds": 0.0, "records": []}
        for record in records:
            self.sections[name]["records"].append(record)
            self.sections[name]["seconds"] = round(time.monotonic() - start, 1)
            self.save()
        self.sections[name]["complete"] = True
        self.save()

    def records(self, name, kind=None):
        """The records of a section, as after a round trip through JSON."""
        found = self.sections.get(name, {}).get("records", [])
        return [r for r in json.loads(json.dumps(found)) if kind is None or r["kind"] == kind]

    def save(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"sections": self.sections}, indent=1) + "\n")
        os.replace(new, self.path)
