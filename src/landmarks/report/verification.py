"""Shows the findings of `landmarks data verify`: tables and messages for the terminal."""

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from landmarks.data import IMAGE_FAULTS, MAX_ASPECT, MIN_SHORT_SIDE, TABLE_FAULTS, Findings, Kind, Split
from landmarks.report.data_tables import NONE, data_table

SHOWN_MESSAGES = 20  # most messages of one kind that are printed
LABELS: dict[Kind, str] = {
    "missing": "missing (listed, not stored)",
    "unlisted": "unlisted (stored, not listed)",
    "listed_twice": "twice in the table",
    "stored_twice": "twice in the tars",
    "unlabelled": "unlabelled",
    "unknown": "only named in other files",
    "leaked": "also in index or test",
    "unreadable": "unreadable",
    "tiny": f"tiny (short side below {MIN_SHORT_SIDE})",
    "extreme_aspect": f"extreme aspect (over {MAX_ASPECT:g}:1)",
}
COUNTS = {
    "images listed": "listed",
    "  there": "present",
    "  without a landmark": "without_landmark",
    "landmarks": "landmarks",
    "  with one image": "landmarks_with_one_image",
}


def verification_tables(findings: Findings) -> RenderableType:
    """Return tables with the counts of each split, and the first images with each fault."""
    return Group(_counts(findings), _examples(findings)) if findings.faults else _counts(findings)


def verification_messages(findings: Findings) -> list[Text]:
    """Name files with problems; the last line says whether training can start, or why not and what to do."""
    needed = set(findings.needed)
    other = [problem.message for problem in findings.problems if not problem.blocks & needed]
    reasons = findings.reasons
    messages = _messages(other, "yellow")
    if any(fault.kind in IMAGE_FAULTS for fault in findings.faults):
        messages.append(Text("Bad images: `--list FILE` writes their ids, data.source.exclude=FILE leaves them out."))
    if not reasons:
        return [*messages, Text(f"Training can start with {', '.join(findings.needed)}.", "bold green")]
    more = f" (and {len(reasons) - 1} more, see above)" if len(reasons) > 1 else ""
    verdict = Text(f"Training cannot start: {reasons[0]}{more}", "bold red")
    return [*messages, *_messages(reasons[1:], "red"), verdict]


def _counts(findings: Findings) -> Table:
    table = data_table(f"Google Landmarks v2 in {findings.root}", "", *findings.counts)
    counts = findings.counts.values()
    for label, key in COUNTS.items():
        # splits without landmarks have no counts of landmarks
        cells = [f"{one[key]:,}" if one["landmarks"] or "landmark" not in key else NONE for one in counts]
        table.add_row(label, *cells)
    table.add_section()
    for kind in (*TABLE_FAULTS, *(IMAGE_FAULTS if findings.deep else ())):
        table.add_row(LABELS[kind], *(_fault(findings, kind, split) for split in findings.counts))
    table.columns[0].footer = "can be used"
    table.show_footer = True
    for column, split in zip(table.columns[1:], findings.counts, strict=True):
        usable = findings.usable(split)
        column.footer = Text("yes" if usable else "no", style="bold green" if usable else "bold red")
    if not findings.deep:
        table.caption = "The images were not decoded; --deep does that."
    return table


def _fault(findings: Findings, kind: Kind, split: Split) -> Text:
    count = findings.count(kind, split)
    blocks = any(fault.blocks for fault in findings.faults if (fault.kind, fault.split) == (kind, split))
    return Text(f"{count:,}", style=("bold red" if blocks else "yellow") if count else "dim")


def _examples(findings: Findings) -> Table:
    table = data_table("First images with each fault", "id")
    table.add_column("where", overflow="fold")
    for kind in (*TABLE_FAULTS, *IMAGE_FAULTS):
        # The images of train_clean are also in train: the same examples are shown once.
        splits: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for split in findings.counts:
            if examples := findings.examples(kind, split):
                splits.setdefault(tuple(examples), []).append(split)
        for examples_of_kind, names in splits.items():
            table.add_row(Text(kind.replace("_", " "), "bold"), Text(", ".join(names), "bold"))
            for image_id, where in examples_of_kind:
                table.add_row(f"  {image_id}", escape(where))
    return table


def _messages(messages: list[str], style: str) -> list[Text]:
    shown = [Text(message, style) for message in messages[:SHOWN_MESSAGES]]
    more = len(messages) - len(shown)
    return [*shown, Text(f"and {more} more; --json lists all", style)] if more else shown
