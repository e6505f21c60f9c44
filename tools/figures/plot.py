"""Axes, curves, bars and cells on top of svg.Picture, in three colours that read in light and dark."""
from svg import STYLE, Picture

MORE_STYLE = """
  .mono { font: 12px ui-monospace, monospace; }
  .axis { stroke: #7d92a8; stroke-width: 1; fill: none; } .grid { stroke: #7d92a8; stroke-width: 0.5; opacity: 0.35; }
  .c1 { stroke: #2566a8; } .c2 { stroke: #b8560f; } .c3 { stroke: #39792f; }
  .line { fill: none; stroke-width: 2; } .dashed { stroke-dasharray: 5 4; }
  .f1 { fill: #2566a8; } .f2 { fill: #b8560f; } .f3 { fill: #39792f; } .soft { fill-opacity: 0.3; }
  text.f1, text.f2, text.f3 { fill-opacity: 1; }
  .back { stroke: #b8560f; stroke-width: 1.4; fill: none; stroke-dasharray: 5 4; marker-end: url(#head); }
  @media (prefers-color-scheme: dark) {
    .c1 { stroke: #7db6f0; } .c2 { stroke: #f0a262; } .c3 { stroke: #8fce82; }
    .f1 { fill: #7db6f0; } .f2 { fill: #f0a262; } .f3 { fill: #8fce82; } .back { stroke: #f0a262; }
    .axis, .grid { stroke: #93a5b6; }
  }
"""


def number(v):
    return f"{v:.1f}".rstrip("0").rstrip(".")


class Plot(Picture):
    style = STYLE + MORE_STYLE

    def line(self, kind, *points):
        self.parts.append(f'<polyline class="{kind}" points="{" ".join(f"{number(x)},{number(y)}" for x, y in points)}"/>')

    def rect(self, x, y, width, height, kind):
        self.parts.append(
            f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}" class="{kind}"/>')

    def grey(self, x, y, side, level):
        """A pixel of an image: its own colour, whatever the page's."""
        shade = round(255 * level)
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="rgb({shade},{shade},{shade})" class="axis" style="fill: rgb({shade},{shade},{shade})"/>')

    def cells(self, x, y, rows, columns, side, kind, height=None):
        for r in range(rows):
            for c in range(columns):
                self.rect(x + c * side, y + r * (height or side), side, height or side, f"axis {kind}")

    def legend(self, x, y, entries, step=16):
        """(colour 1 to 3, dashed, words) each, one below the other."""
        for i, (colour, dashed, words) in enumerate(entries):
            at = y + step * i
            self.line(f"line c{colour}{' dashed' if dashed else ''}", (x, at - 4), (x + 22, at - 4))
            self.text(x + 28, at, words, "small")


class Axes:
    """A frame at (x, y) for values in [low, high] of both axes."""

    def __init__(self, plot, x, y, width, height, xs, ys, title=""):
        self.plot, self.x, self.y, self.width, self.height, self.xs, self.ys = plot, x, y, width, height, xs, ys
        plot.line("axis", (x, y), (x, y + height), (x + width, y + height))
        if title:
            plot.text(x + width / 2, y - 10, title, "title", "middle")

    def at(self, vx, vy):
        (x0, x1), (y0, y1) = self.xs, self.ys
        return self.x + self.width * (vx - x0) / (x1 - x0), self.y + self.height * (1 - (vy - y0) / (y1 - y0))

    def ticks_x(self, values, label=str):
        for v in values:
            x, _ = self.at(v, self.ys[0])
            self.plot.line("axis", (x, self.y + self.height), (x, self.y + self.height + 4))
            self.plot.text(number(x), self.y + self.height + 17, label(v), "small", "middle")

    def ticks_y(self, values, label=str):
        for v in values:
            _, y = self.at(self.xs[0], v)
            self.plot.line("grid", (self.x, y), (self.x + self.width, y))
            self.plot.text(self.x - 6, number(y + 4), label(v), "small", "end")

    def curve(self, points, colour, dashed=False):
        self.plot.line(f"line c{colour}{' dashed' if dashed else ''}", *(self.at(*p) for p in points))

    def bar(self, vx, width, vy, kind, shift=0.0):
        """From 0 to vy, `width` and `shift` in pixels around vx."""
        x, top = self.at(vx, max(vy, 0))
        _, bottom = self.at(vx, min(vy, 0))
        self.plot.rect(x - width / 2 + shift, top, width, max(bottom - top, 1), kind)

    def label_x(self, words):
        self.plot.text(self.x + self.width / 2, self.y + self.height + 34, words, "small", "middle")
