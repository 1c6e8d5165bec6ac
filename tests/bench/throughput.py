# SPDX-License-Identifier: MIT
"""The parts about speed: each kind of input, input sizes, and numbers of workers."""
import datasets
import machine
from engine import Engine, engines
from measure import Cat, interleave
from plot import Plot
from report import table
from settings import DATA, MB, SCANNERS, scaled

SIZES_MB = {"plain": 1000, "quoted": 500, "wide": 500, "long": 1000}
KINDS = {
    "plain": "Plain: 10 columns, nothing quoted",
    "quoted": "Quoted: embedded newlines and UTF-8 in 5 % of the rows",
    "wide": "Wide: 100 columns",
    "long": "Long: rows of 670 bytes",
}
CURVE_MB = [1, 4, 16, 64, 256, 1000, 4000]
POOLS = [1, 2, 4]


def usable_scanners():
    """Those of the list that this machine and this worker have, slowest first; tried, not assumed."""
    found = []
    probe = DATA / "probe.csv"
    DATA.mkdir(parents=True, exist_ok=True)
    probe.write_text("a,b\n1,2\n")
    for scanner in SCANNERS:
        if not machine.has_instructions(scanner):
            print(f"{scanner}: not on this machine")
            continue
        engine = Engine(1, scanner)
        try:
            engine.convert(probe, DATA / "probe.jsonl")
            found.append(scanner)
        except AssertionError:
            print(f"{scanner}: the worker has no such scanner")
        finally:
            engine.close()
    assert found, "no scanner to measure"
    return found


def convert_plainly(source, target):
    engine = Engine(1, "portable")
    try:
        engine.convert(source, target)
    finally:
        engine.close()


def prepare(kind, n_bytes):
    return datasets.expect(datasets.make(kind, n_bytes), convert_plainly)


def measure_kind(report, kind, scanners):
    """Every instruction set with 1 and 2 workers."""
    dataset = prepare(kind, scaled(SIZES_MB[kind]))
    with engines(*[(workers, scanner) for scanner in scanners for workers in (1, 2)]) as contestants:
        found = interleave(dataset, [*contestants, Cat()])
    report.add_series(f"{KINDS[kind]} ({dataset.size / MB:,.0f} MB, {dataset.rows:,} rows)", found)
    one, two = found[-3], found[-2]
    report.add_seen(f"{kind}, {scanners[-1]}, 2 workers: wall / copy",
                    f"{two.best_ratio():.2f} best, {two.pair_ratio():.2f} median of pairs")
    report.add_seen(f"{kind}, {scanners[-1]}: two workers / one",
                    f"{one.best() / two.best():.2f} best, {one.median() / two.median():.2f} medians")
    report.add_seen(f"{kind}, {scanners[-1]}: PSS of a worker", f"{two.warm_up.pss_bytes / 2**20:.1f} MiB")


def size_words(n_bytes):
    return f"{n_bytes / 1e9:g} GB" if n_bytes >= 1e9 else f"{n_bytes / MB:g} MB"


def measure_sizes(report, scanners):
    """Throughput against the size of a plain input."""
    lines, rows = {}, []
    sizes = sorted({scaled(size) for size in CURVE_MB})
    with engines((1, scanners[-1]), (2, scanners[-1])) as contestants:
        for size in sizes:
            dataset = prepare("plain", size)
            found = interleave(dataset, contestants)
            for name, series in zip(("copy loop", "1 worker", "2 workers"), found):
                lines.setdefault(name, []).append((dataset.size, series.per_second("in_bytes") / MB))
            rows.append([size_words(size), *(f"{series.per_second('in_bytes') / MB:,.0f}" for series in found)])
            forget_unless(dataset, scaled(SIZES_MB["plain"]))
    note = ("MB of input a second, by the best run. The copy loop copies the output that this input gives, so its "
            "line is what the disk's cache and two system calls allow.")
    report.add("Throughput against input size", table(["input", *lines], rows) + f"\n{note}\n")
    plot = Plot(f"Throughput against input size (plain, {scanners[-1]})", "input size, logarithmic",
                "MB of input a second", lines, [(size, size_words(size)) for size in sizes], is_log_x=True)
    report.add_figure("size.svg", plot.svg(), "throughput against input size")


def forget_unless(dataset, kept_size):
    """The large sizes would fill the cache's disk for nothing."""
    if dataset.path.name != f"{dataset.kind}-{kept_size}.csv":
        for path in (dataset.path, dataset.path.with_suffix(".json"), dataset.expected):
            path.unlink()


def measure_workers(report, scanners):
    """Throughput against the number of workers, for three kinds of input."""
    lines, rows = {}, []
    with engines(*[(workers, scanners[-1]) for workers in POOLS]) as contestants:
        for kind in ("plain", "quoted", "wide"):
            copy, *found = interleave(prepare(kind, scaled(SIZES_MB[kind])), contestants)
            lines[kind] = [(workers, series.per_second("in_bytes") / MB) for workers, series in zip(POOLS, found)]
            rows.append([kind, *(f"{rate:,.0f}" for _, rate in lines[kind]),
                         f"{copy.per_second('in_bytes') / MB:,.0f}",
                         *(f"{found[0].best() / series.best():.2f}" for series in found[1:])])
    head = ["input", *(f"{workers} worker{'s'[:workers != 1]}, MB/s" for workers in POOLS), "copy loop, MB/s",
            *(f"{workers} / 1" for workers in POOLS[1:])]
    report.add("Throughput against workers", table(head, rows) + "\nMB of input a second, by the best run.\n")
    plot = Plot(f"Throughput against workers ({scanners[-1]})", "workers", "MB of input a second", lines,
                [(workers, str(workers)) for workers in POOLS])
    report.add_figure("workers.svg", plot.svg(), "throughput against workers")
