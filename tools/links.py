#!/usr/bin/env python3
"""Checks the links of Markdown pages: tools/links.py PAGE... ends with status 1 and a line for each link within the repository whose file
or heading is not there. Links to other sites are not followed."""
import pathlib
import re
import sys


def without_code(text):
    """Lines in fences and `spans` hold no links."""
    text = re.sub(r"^(```+).*?^\1\s*$", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", text)


def anchor(heading):
    """GitHub's name of a heading."""
    heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", heading).replace(" ", "-")


def anchors(page):
    text = re.sub(r"^(```+).*?^\1\s*$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    names, seen = set(), {}
    for heading in re.findall(r"^#{1,6} (.*)$", text, flags=re.M):
        name = anchor(heading)
        count = seen[name] = seen.get(name, -1) + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def faults(page):
    for line, text in enumerate(without_code(page.read_text(encoding="utf-8")).splitlines(), 1):
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, heading = link.partition("#")
            target = page.parent / path if path else page
            if not target.exists():
                yield f"{page}:{line}: no file {link}"
            elif heading and target.suffix == ".md" and heading not in anchors(target):
                yield f"{page}:{line}: no heading {link}"


found = [fault for page in sys.argv[1:] for fault in faults(pathlib.Path(page))]
print("\n".join(found))
sys.exit(1 if found else 0)
