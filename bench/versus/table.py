"""The rows of the comparison: what each figure is, what counts as done, where the aim is, and whether it is met."""
import json
from dataclasses import dataclass

AT_LEAST, AT_MOST = "at least", "at most"


@dataclass
class Row:
    figure: str
    etcd: float | None
    ringfort: float | None
    result: float | None
    unit: str
    direction: str
    done: float
    aim: float
    note: str = ""

    def met(self):
        if self.result is None:
            return "not measured"
        sign = 1 if self.direction == AT_LEAST else -1
        if sign * self.result >= sign * self.aim:
            return "aim"
        return "met" if sign * self.result >= sign * self.done else "MISSED"


def ratio(ours, theirs):
    return ours / theirs if ours is not None and theirs else None


def shown(value, unit=""):
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}{unit}"


def as_text(rows):
    head = ["figure", "etcd", "ringfort", "result", "done means", "aim", "met"]
    lines = [[row.figure, shown(row.etcd), shown(row.ringfort), shown(row.result, row.unit),
              f"{'>=' if row.direction == AT_LEAST else '<='} {shown(row.done, row.unit)}", shown(row.aim, row.unit),
              row.met()] for row in rows]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    out = []
    for line in [head, ["-" * width for width in widths], *lines]:
        cells = [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))]
        out.append("  ".join(cells))
    out += [f"{row.figure}: {row.note}" for row in rows if row.note]
    return "\n".join(out)


def as_json(rows, about):
    return json.dumps({**about, "rows": [{**vars(row), "met": row.met()} for row in rows]}, indent=2)
