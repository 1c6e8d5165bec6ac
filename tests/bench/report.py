# SPDX-License-Identifier: MIT
"""The report: Markdown tables, figures, and every single run as JSON for whoever wants to look closer."""
import dataclasses
import json

from settings import REPORT, RUNS, SCALE

MIB = 1 << 20
HEAD = ["contestant", "best s", "median s", "commit s", "CPU s", "PSS MiB", "in MB/s", "out MB/s", "M rows/s",
        "wall / copy: best", "median of pairs", "with commit / with fsync"]
HOW = ("Wall: from the start of the first worker to the last write; of the copy loop from the first read to the last "
       "write. Commit: what follows until the rows are durable under their name (of the copy loop its fsync). CPU: "
       "of daemon and workers, whole job. PSS: the largest worker, seen in the warm-up. Rates are of the best run.")


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def seconds(value):
    return f"{value:.3f}"


def millions(value):
    return f"{value / 1e6:,.0f}"


def ratio(value):
    return f"{value:.2f}" if value is not None else ""


def row_of(series):
    if not series.samples:
        return [series.name, series.note, *[""] * (len(HEAD) - 2)]
    pss = series.warm_up.pss_bytes if series.warm_up else 0
    return [series.name, seconds(series.best()), seconds(series.median()),
            seconds(series.median("sync_s")) if series.best("sync_s") else "",
            seconds(series.median("cpu_s")), f"{pss / MIB:.1f}" if pss else "", millions(series.per_second("in_bytes")),
            millions(series.per_second("out_bytes")), f"{series.per_second('rows') / 1e6:.2f}",
            *map(ratio, (series.best_ratio(), series.pair_ratio(), series.durable_ratio()))]


class Report:
    def __init__(self, machine):
        self.sections = [f"# Benchmark\n\n{machine}.\nScale {SCALE:g}, {RUNS} runs of each after a warm-up.\n"]
        self.seen = []
        self.runs = {}

    def add(self, title, text):
        """Also to standard output, since a whole run takes long."""
        section = f"## {title}\n\n{text}"
        self.sections.append(section)
        print(f"{section}", flush=True)

    def add_series(self, title, all_series, text=HOW):
        self.runs[title] = {series.name: [dataclasses.asdict(sample) for sample in series.samples]
                            for series in all_series}
        self.add(title, f"{table(HEAD, map(row_of, all_series))}\n{text}\n")

    def add_seen(self, measure, value):
        """A line of the summary, as the design's own table has it."""
        self.seen.append([measure, value])

    def add_figure(self, name, svg, caption):
        (REPORT / name).write_text(svg)
        self.sections.append(f"![{caption}]({name})\n")

    def write(self):
        sections = list(self.sections)
        if self.seen:
            sections.insert(1, f"## In short\n\n{table(['measure', 'seen'], self.seen)}")
        (REPORT / "report.md").write_text("\n".join(sections))
        (REPORT / "runs.json").write_text(json.dumps(self.runs, indent=1) + "\n")
        print(f"written: {REPORT / 'report.md'}")
