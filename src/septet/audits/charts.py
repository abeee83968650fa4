"""Line charts and scatter plots as SVG."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

WIDTH, HEIGHT, MARGIN = 760, 300, 48
COLOURS = ("#3d7eff", "#e4572e", "#2a9d5c", "#8a63d2")

Point = tuple[float, float]


def lines(series: Mapping[str, Sequence[Point]], x_name: str, y_name: str) -> str:
    """A line chart with a legend; the axes span the range of the data."""
    points = [point for line in series.values() for point in line]
    if not points:
        return ""
    place = _placed(points)
    drawn = []
    for (name, line), colour in zip(series.items(), COLOURS, strict=False):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, line))
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return _framed([*_axes(points, x_name, y_name), *drawn, *_legend(list(series))])


def scatter(groups: Mapping[str, Sequence[tuple[Point, str, str]]]) -> str:
    """A scatter plot of (point, picture as data URI, caption) by group; the page's script shows picture and caption."""
    points = [point for group in groups.values() for point, _, _ in group]
    if not points:
        return ""
    place, drawn = _placed(points), []
    for (_, group), colour in zip(groups.items(), COLOURS, strict=False):
        for point, picture, caption in group:
            x, y = place(point)
            data = f'data-picture="{escape(picture)}" data-caption="{escape(caption)}"'
            drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}" fill-opacity="0.6" {data}/>')
    return _framed([*drawn, *_legend(list(groups))])


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _placed(points: Sequence[Point]):
    (left, right), (low, high) = _range([x for x, _ in points]), _range([y for _, y in points])

    def place(point: Point) -> Point:
        x = MARGIN + (point[0] - left) / (right - left) * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - (point[1] - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        return x, y

    return place


def _axes(points: Sequence[Point], x_name: str, y_name: str) -> Iterator[str]:
    (left, right), (low, high) = _range([x for x, _ in points]), _range([y for _, y in points])
    base, side = HEIGHT - MARGIN, WIDTH - MARGIN
    yield f'<path d="M{MARGIN} {MARGIN / 2}V{base}H{side}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>'
    yield _text(MARGIN, base + 18, f"{left:.3g}")
    yield _text(side, base + 18, f"{right:.3g}", "end")
    yield _text((MARGIN + side) / 2, base + 18, x_name, "middle")
    yield _text(MARGIN - 6, base, f"{low:.3g}", "end")
    yield _text(MARGIN - 6, MARGIN, f"{high:.3g}", "end")
    yield _text(MARGIN, MARGIN / 2 - 8, y_name)


def _legend(names: Sequence[str]) -> Iterator[str]:
    for row, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        y = MARGIN / 2 + 18 * row
        yield f'<circle cx="{WIDTH - 150}" cy="{y - 4}" r="5" fill="{colour}"/>'
        yield _text(WIDTH - 138, y, name)


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _framed(parts: Sequence[str]) -> str:
    style = 'font-size="13" fill="currentColor" style="width:100%;height:auto"'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" {style}>{"".join(parts)}</svg>'
