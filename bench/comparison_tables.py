"""The tables of bench/compare_pytorch.py. Results are {Row: {side: {"rate": images/s, "memory": MiB, ...}}}; a side is Limbeck's or a setting."""
import datetime
import os
import platform

PRECISIONS = ("f32", "tf32", "bf16")


def number(x):
    return f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:.0f}"


def label(row, rows):
    """The network's name, and what sets it apart from the others of its table."""
    notes = [row.task] if any(r.name == row.name and r.task != row.task for r in rows) else []
    if any((r.batch, r.size) != (row.batch, row.size) for r in rows):
        notes.append(f"{row.batch} x {row.size}x{row.size}" if row.size else f"{row.batch}")
    if row.width:
        notes.append(f"width {row.width}")
    if row.kind != "train":
        notes.append(row.kind)
    return row.name + (f" ({', '.join(notes)})" if notes else "")


def markdown(header, rows):
    return "\n".join(["| " + " | ".join(header) + " |", "|---" * len(header) + "|"] + ["| " + " | ".join(cells) + " |" for cells in rows])


def cpu_table(settings, results):
    """settings: {name: Setting}. The ratio is Limbeck over the fastest f32 setting; bf16 has a column of its own."""
    other = [s for s in settings if settings[s].precision != "f32"]
    header = ["network", "Limbeck", *settings, "Limbeck / best f32", *[f"Limbeck f32 / {s}" for s in other], "GFLOP/s", "MiB Limbeck", "MiB PyTorch"]
    lines = []
    for row, result in results.items():
        ours, sides = result["Limbeck"], {s: r for s, r in result.items() if s in settings}
        counted = {s: r for s, r in sides.items() if settings[s].precision == "f32"}
        lines.append([label(row, results), number(ours["rate"])] + [number(sides[s]["rate"]) if s in sides else "-" for s in settings]
                     + [f"**{ours['rate'] / max(r['rate'] for r in counted.values()):.2f}**" if counted else "-"]
                     + [f"{ours['rate'] / sides[s]['rate']:.2f}" if s in sides else "-" for s in other]
                     + [f"{ours['gflops']:.0f}", f"{ours['memory']:.0f}", f"{min(r['memory'] for r in counted.values()):.0f}" if counted else "-"])
    return markdown(header, lines)


def ratio(a, b):
    return f"{a['rate'] / b['rate']:.2f}" if a and b else "-"


def gpu_table(precision, settings, results):
    """One precision, Limbeck's own and tuned kernels beside PyTorch's settings of the same; the one named like it is plain eager."""
    names = [s for s in settings if settings[s].precision == precision]
    header = ["network", "own", "tuned", *names, "own / eager", "own / best", "tuned / best", "MiB own", "MiB eager"]
    lines = []
    for row, result in results.items():
        own, tuned, eager = (result.get(side) for side in (f"own {precision}", f"tuned {precision}", precision))
        theirs = [result[s] for s in names if s in result]
        if not (own or tuned or theirs):
            continue
        best = max(theirs, key=lambda r: r["rate"], default=None)
        lines.append([label(row, results)] + [number(r["rate"]) if r else "-" for r in (own, tuned, *map(result.get, names))]
                     + [ratio(own, eager), f"**{ratio(own, best)}**", ratio(tuned, best)] + [f"{r['memory']:.0f}" if r else "-" for r in (own, eager)])
    return markdown(header, lines) if lines else "nothing was measured"


def processor():
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def shape_of(results):
    shapes = {(r.batch, r.size) for r in results}
    if len(shapes) > 1:
        return "batch and image size in brackets"
    batch, size = next(iter(shapes))
    return f"batch {batch}, {size}x{size}" if size else f"batch {batch}"


def cpu_report(args, what, settings, results, version, load):
    policy = os.environ.get("OMP_WAIT_POLICY")
    return "\n".join([
        f"Images per second of a training step, {what}, {shape_of(results)}, f32, {args.threads} threads{f' (OMP_WAIT_POLICY={policy})' if policy else ''}, {processor()}, PyTorch {version};",
        f"{datetime.date.today()}, commit {args.commit}, load average {load:.1f} before the run, priority {os.getpriority(os.PRIO_PROCESS, 0)}; best of up to {args.turns} turns of {args.seconds} s.",
        "GFLOP/s are Limbeck's, PyTorch's memory is the least of its f32 settings:",
        "",
        cpu_table(settings, results),
    ])


def gpu_report(args, what, settings, results, version, about):
    """about: of one of Limbeck's answers, its device and software."""
    lines = [
        f"Images per second of a training step, {what}, {shape_of(results)}, {about.get('device', 'unknown device')}, {about.get('software', 'unknown driver')}, PyTorch {version};",
        f"{datetime.date.today()}, commit {args.commit}; best of up to {args.turns} turns of {args.seconds} s. Memory is the most that tensors took at once.",
    ]
    for precision in PRECISIONS:
        lines += ["", f"{precision}:", "", gpu_table(precision, settings, results)]
    return "\n".join(lines)


def update(path, group, text):
    """Replaces what lies between the group's two marker lines of a Markdown file."""
    begin, end = f"<!-- compare_pytorch {group}: begin -->", f"<!-- compare_pytorch {group}: end -->"
    with open(path) as f:
        page = f.read()
    if page.count(begin) != 1 or page.count(end) != 1:
        raise SystemExit(f"{path}: expected one line '{begin}' and one line '{end}'")
    page = page[: page.index(begin)] + begin + "\n" + text + "\n" + page[page.index(end):]
    with open(path, "w") as f:
        f.write(page)
