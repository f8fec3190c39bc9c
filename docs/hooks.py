"""Adds to the site what docs/*.md does not contain: the configuration reference, the file map, pages of other folders.

mkdocs calls these functions (`hooks` in mkdocs.yml). Links are written as GitHub resolves them: relative to the file in
the repository. Here they become links of the site; a link to a file that is no page becomes plain text, and a link to
nothing stays as it is, so that `mkdocs build --strict` reports it.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

import make_file_map
import make_reference
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "launch/README.md")  # pages with these names on the site
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
CODE = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not in docs/."""
    for name in OUTSIDE:
        files.append(File.generated(config, name, content=(ROOT / name).read_text(encoding="utf-8")))
    files.append(File.generated(config, "reference.md", content=make_reference.page(ROOT / "conf")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn the repository's links into the site's, outside of code blocks; put the file map into its page."""
    uri = page.file.src_uri
    if uri == "architecture.md":
        markdown += "\n" + make_file_map.page(ROOT)
    source = uri if uri in OUTSIDE else f"docs/{uri}"
    parts = CODE.split(markdown)
    for place in range(0, len(parts), 2):
        parts[place] = LINK.sub(lambda found: site_link(found, source, uri), parts[place])
    return "".join(parts)


def site_link(found: re.Match[str], source: str, uri: str) -> str:
    """One link of the page `uri`, whose file in the repository is `source`."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["target"]))
    if "://" in found["target"] or not (ROOT / target).exists():
        return found[0]
    if target in OUTSIDE:
        page = target
    elif target.startswith("docs/") and target.endswith(".md"):
        page = target.removeprefix("docs/")
    elif target == "README.md":
        page = "index.md"
    else:
        return found["text"]
    return f"[{found['text']}]({posixpath.relpath(page, posixpath.dirname(uri) or '.')}{found['anchor'] or ''})"
