#!/usr/bin/env python3
"""What the comments of the headers must say: tools/docs/check.py XML EXCEPTIONS

XML is Doxygen's output for headers and sources. For every public function that a header declares:
  comment  it has one, of its own or that of the declarations that it stands among without a blank line;
  shapes   where tensors go in or out, it or its class says of which shape;
  errors   where its body checks something (LIMBECK_CHECK, fail), it or its class says what is refused.
Prints "file: name: rule" for each that does not, unless EXCEPTIONS has that line, and says which lines there are no longer needed.
The source of an operator and of a method is a field of its record, which its own tests want filled.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

SHAPES = re.compile(r"\[|shape|element|scalar|\brows?\b|\bsize|tensor|axes", re.I)
ERRORS = re.compile(r"throw|error|refuse|must|strict", re.I)


def text_of(node, *parts):
    return " ".join("".join(node.find(part).itertext()) for part in parts if node.find(part) is not None)


def comment_above(lines, line):
    """The comments of the block without a blank line in which 1-based `line` stands, up to that line."""
    words, i = [], line - 1
    while i >= 0 and lines[i].strip() and not re.match(r"(class|struct|namespace|public|private)\b", lines[i].strip()):
        words[:0] = re.findall(r"//[/<]*(.*)", lines[i])
        i -= 1
    while i >= 0 and lines[i].strip().startswith("//"):
        words[:0] = [lines[i]]
        i -= 1
    return " ".join(words)


class Sources(dict):
    def __missing__(self, path):
        self[path] = pathlib.Path(path).read_text(encoding="utf-8").split("\n")
        return self[path]


def faults(xml):
    sources, seen = Sources(), set()
    for file in sorted(pathlib.Path(xml).glob("*.xml")):
        if not re.match(r"(namespacelimbeck|classlimbeck|structlimbeck)", file.name):
            continue
        compound = ElementTree.parse(file).getroot().find("compounddef")
        scope = compound.findtext("compoundname")
        if "detail" in scope or "@" in scope:
            continue
        of_class = text_of(compound, "briefdescription", "detaileddescription") if compound.get("kind") != "namespace" else ""
        for member in compound.iter("memberdef"):
            where = member.find("location")
            header, line = where.get("declfile") or where.get("file"), int(where.get("declline") or where.get("line"))
            name = member.findtext("name")
            if member.get("kind") != "function" or member.get("prot") != "public" or not header.endswith(".h"):
                continue
            if (header, line, name) in seen:
                continue
            seen.add((header, line, name))
            own = text_of(member, "briefdescription", "detaileddescription", "inbodydescription")
            said = f"{own} {comment_above(sources[header], line)} {of_class}"
            types = text_of(member, "type") + " ".join(text_of(p, "type") for p in member.findall("param"))
            body = ""
            if where.get("bodystart") and int(where.get("bodyend") or -1) > 0:
                body = "\n".join(sources[where.get("bodyfile")][int(where.get("bodystart")) - 1:int(where.get("bodyend"))])
            if compound.get("kind") == "namespace" and not said.strip():
                yield f"{header}: {name}: comment"
            if compound.get("kind") == "namespace" and re.search(r"\b(Tensor|Variable)s?\b", types) and not SHAPES.search(said):
                yield f"{header}: {name}: shapes"
            if re.search(r"LIMBECK_CHECK\(|\bfail\(", body) and not ERRORS.search(said):
                yield f"{header}: {name}: errors"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = sorted(set(faults(sys.argv[1])))
    known = {line for line in pathlib.Path(sys.argv[2]).read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")}
    wrong = [line for line in found if line not in known] + [f"{line}: is right now, take the exception away" for line in sorted(known - set(found))]
    print("\n".join(wrong))
    sys.exit(1 if wrong else 0)


main()
