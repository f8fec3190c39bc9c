"""Lists the knowledge entries that are still drafts, for the person who reviews them."""

from pathlib import Path

from vrft_aug.data.knowledge import reading
from vrft_aug.errors import InputError


def review(folder: Path = reading.BANK) -> list[str]:
    """One line per draft, and a last line with the count. Raises InputError if the folder has no knowledge files."""
    lines, total = [], 0
    for path in sorted(folder.glob("*.yaml")):
        bank = reading.read(path)
        total += len(bank["classes"])
        for name, entry in bank["classes"].items():
            if entry["review"] == "draft":
                unread = [key for key in entry["sources"] if not bank["sources"][key]["read"]]
                check = f"; not yet read: {', '.join(unread)}" if unread else ""
                lines.append(f"{bank['dataset']} / {name} ({entry['confidence']}): {entry['description']}{check}")
    if not total:
        raise InputError(f"{folder}: no knowledge files; name another folder")
    return [*lines, f"{len(lines)} of {total} entries are drafts"]
