"""Boxes, arrows and text as an SVG that reads in light and dark."""
from html import escape

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1d2733; }
  .small { font-size: 11px; fill: #5a6673; }
  .title { font-weight: 600; }
  .box { fill: #eef3f8; stroke: #7d92a8; stroke-width: 1; }
  .strong { fill: #d8e8d4; stroke: #6b8f63; }
  .arrow { stroke: #7d92a8; stroke-width: 1.4; fill: none; marker-end: url(#head); }
  .head { fill: #7d92a8; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e4e9ee; } .small { fill: #a9b4bf; }
    .box { fill: #27323d; stroke: #75889a; } .strong { fill: #2c4030; stroke: #7ba070; }
    .arrow { stroke: #93a5b6; } .head { fill: #93a5b6; }
  }
"""


class Picture:
    style = STYLE

    def __init__(self, width, height, title):
        self.width, self.height, self.title, self.parts = width, height, title, []

    def text(self, x, y, words, kind="", anchor="start"):
        self.parts.append(f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, x, y, width, height, title, lines=(), strong=False):
        kind = "box strong" if strong else "box"
        self.parts.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" class="{kind}"/>')
        first = y + height / 2 - 7.5 * len(lines) + 4.5
        self.text(x + width / 2, round(first, 1), title, "title", "middle")
        for i, line in enumerate(lines):
            self.text(x + width / 2, round(first + 15 * (i + 1), 1), line, "small", "middle")

    def arrow(self, *points):
        self.parts.append(f'<polyline class="arrow" points="{" ".join(f"{x},{y}" for x, y in points)}"/>')

    def write(self, path):
        body = "\n".join(self.parts)
        with open(path, "w", encoding="utf-8") as out:
            out.write(
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img">\n'
                f"<title>{escape(self.title)}</title>\n<style>{self.style}</style>\n"
                '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
                '<path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>\n'
                f"{body}\n</svg>\n"
            )
