"""Shortens outlines: curves become lines or circular arcs where they fit, runs of these are merged, and ends are
rounded to the grid.

Points are complex numbers in grid units; tolerances are in grid units too.
"""

import cmath
import math

from ..modalities.drawing import centre, trace

NEAR = 0.75  # how far a curve may move; rounding its ends moves it up to 0.7
SAGITTA = 0.35  # how far the middle of an arc may move so that its angle is a rounder number
DEGREES = tuple(range(10, 275, 5))  # the angles an arc can have


def snap(point: complex, grid: int) -> complex:
    """The nearest point of the grid; halves always up, so that equal widths stay equal."""
    x, y = math.floor(point.real + 0.5 + 1e-6), math.floor(point.imag + 0.5 + 1e-6)
    return complex(min(max(x, 0), grid), min(max(y, 0), grid))


def bulge_through(start: complex, middle: complex, end: complex) -> float:
    """The bulge of the arc through three points."""
    if middle in (start, end):
        return 0.0
    angle = cmath.phase((end - middle) / (start - middle))  # inscribed angle: Euclid, Elements III.20
    return -math.copysign(math.tan((math.pi - abs(angle)) / 2), angle)


def fit_arc(points: list[complex], start: complex, end: complex, limit: float) -> int | None:
    """The signed angle in degrees, out of DEGREES, of an arc from start to end no further than `limit` from any point;
    None if there is none."""
    chord = abs(end - start)
    bulge = bulge_through(start, points[len(points) // 2 - 1], end)
    if chord < 1 or not 1e-3 < abs(bulge) < 3:
        return None
    angle = math.degrees(4 * math.atan(abs(bulge)))
    for step in (90, 45, 30, 15, 5):
        degrees = min(max(step * round(angle / step), DEGREES[0]), DEGREES[-1])
        rounded = math.tan(math.radians(degrees) / 4)
        if abs(rounded - abs(bulge)) * chord / 2 <= SAGITTA:
            break
    signed = math.copysign(rounded, bulge)
    middle = centre(start, signed, end)
    radius = abs(start - middle)
    near = all(abs(abs(p - middle) - radius) <= limit for p in points)
    return round(math.copysign(degrees, bulge)) if near else None


def flat(points: list[complex], start: complex, end: complex, near: float) -> bool:
    """Whether all points lie near the line from start to end, and between them."""
    along = end - start
    length = abs(along)
    if length < 1e-9:
        return all(abs(p - start) <= near for p in points)
    turned = [(p - start) * along.conjugate() / length for p in points]
    return all(abs(p.imag) <= near and -near <= p.real <= length + near for p in turned)


def fit_circle(points: list[complex], grid: int) -> tuple[complex, complex] | None:
    """The leftmost and rightmost point of the circle near all points of a closed outline; None if there is none."""
    xs, ys = [p.real for p in points], [p.imag for p in points]
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    middle, radius = complex(left + right, top + bottom) / 2, (right - left + bottom - top) / 4
    if radius < 0.5 or any(abs(abs(p - middle) - radius) > NEAR / 2 for p in points):
        return None
    height = middle.imag
    one, two = snap(complex(left, height), grid), snap(complex(right, height), grid)
    return (one, two) if one != two else None


def _turn(outline: list[tuple], n: int) -> list[tuple]:
    """A closed outline, rotated to start after its first n segments."""
    body = outline[1:]
    return [("M", body[n - 1][-1])] + body[n:] + body[:n] if n else outline


def _corner(outline: list[tuple]) -> int:
    """The number of segments before a joint of a closed outline that merging does not cross."""
    before = outline[-1]
    at = outline[-2][-1]
    for n, segment in enumerate(outline[1:]):
        start = before[-1]
        leaving = trace(start, segment, 8)[0] - start
        arriving = start - trace(at, before, 8)[-2]
        angle = abs(cmath.phase(leaving / arriving)) if arriving and leaving else 0.0
        if angle > 0.5 or ((segment[0] == "L") != (before[0] == "L")):
            return n
        at, before = start, segment
    return 0


def _merge(outline: list[tuple], grid: int) -> list[tuple]:
    """Runs of segments as one line or one arc where the points stay near; ends on the grid."""
    start = outline[0][1]
    at = snap(start, grid)
    short: list[tuple] = [("M", at)]
    n = 1
    while n < len(outline):
        points = trace(start, outline[n], 8)
        last, best = n, _replace(outline[n], points, at, grid)
        curved = outline[n][0] != "L"
        for following in range(n + 1, len(outline) if best[0] != "C" else 0):
            if (outline[following][0] != "L") != curved:
                break
            points = points + trace(points[-1], outline[following], 8)
            wider = _simple(points, at, grid, curved)
            if wider is None:
                break
            last, best = following, wider
        start, n = outline[last][-1], last + 1
        if best[-1] != at or best[0] == "C":
            short.append(best)
        at = best[-1]
    return short


def _simple(points: list[complex], at: complex, grid: int, curved: bool) -> tuple | None:
    """One line, or one arc, for a run of points."""
    end = snap(points[-1], grid)
    if flat(points, at, end, 0.6):
        return ("L", end)
    degrees = fit_arc(points, at, end, NEAR) if curved else None
    return None if degrees is None else ("A", degrees, end)


def _replace(segment: tuple, points: list[complex], at: complex, grid: int) -> tuple:
    """The simplest segment that fits `segment`, with its end on the grid."""
    end = snap(segment[-1], grid)
    simple = ("L", end) if segment[0] == "L" else _simple(points, at, grid, True)
    if simple is not None:
        return simple
    if segment[0] == "A":
        degrees = fit_arc(points, at, end, math.inf)
        return ("L", end) if degrees is None else ("A", degrees, end)
    return ("C", snap(segment[1], grid), snap(segment[2], grid), end)


def _quarters(outline: list[tuple]) -> list[tuple]:
    """The outline with its arcs split to at most a quarter turn each: rounding its angle moves a short arc less."""
    parts, at = [], 0j
    for segment in outline:
        pieces = math.ceil(abs(math.atan(segment[1])) * 8 / math.pi - 0.01) if segment[0] == "A" else 1
        if pieces > 1:
            bulge = math.tan(math.atan(segment[1]) / pieces)
            parts += [("A", bulge, point) for point in trace(at, segment, pieces)]
        else:
            parts.append(segment)
        at = segment[-1]
    return parts


def _reverse(outline: list[tuple]) -> list[tuple]:
    """The outline in the opposite direction."""
    ends = [segment[-1] for segment in outline]
    back: list[tuple] = [("M", ends[-1])]
    for n in range(len(outline) - 1, 0, -1):
        segment = outline[n]
        if segment[0] == "A":
            back.append(("A", -segment[1], ends[n - 1]))
        elif segment[0] == "C":
            back.append(("C", segment[2], segment[1], ends[n - 1]))
        else:
            back.append(("L", ends[n - 1]))
    return back


def _clockwise(outline: list[tuple]) -> bool:
    """Whether a closed outline runs clockwise on the screen."""
    points = [outline[0][1]]
    for segment in outline[1:]:
        bulge = ("A", math.tan(math.radians(segment[1]) / 4), segment[2]) if segment[0] == "A" else segment
        points += trace(points[-1], bulge, 1 if segment[0] == "L" else 4)
    return sum((a.conjugate() * b).imag for a, b in zip(points, points[1:] + points[:1], strict=True)) >= 0  # shoelace


def shorten(outline: list[tuple], grid: int, closed: bool, directed: bool) -> list[tuple]:
    """Approximates an outline, which starts with ("M", point) and is in grid units, by as few segments as possible.

    They are ("L", end), ("A", degrees, end), ("C", control, control, end), and ("O", end), a circle whose leftmost
    point is the start and whose rightmost is the end.

    All returned points lie on the grid. A closed outline starts at its topmost point and runs clockwise (if `directed`,
    in its own direction), without the closing line; an open one starts at its upper end.
    """
    outline = _quarters([s for s in outline if s[0] != "Z"])
    if closed and abs(outline[-1][-1] - outline[0][1]) > 1e-6:
        outline = [*outline, ("L", outline[0][1])]
    if closed and len(outline) > 1:
        points, at = [], outline[0][1]
        for segment in outline[1:]:
            points += trace(at, segment, 16)
            at = segment[-1]
        curved = all(s[0] != "L" or abs(s[1] - points[-1]) < NEAR for s in outline[1:])
        circle = fit_circle(points, grid) if curved and not directed else None
        if circle:
            return [("M", circle[0]), ("O", circle[1])]
        outline = _turn(outline, _corner(outline))
    short = _merge(outline, grid)
    if not closed or len(short) < 2:
        ends = [(p.imag, p.real) for p in (short[0][-1], short[-1][-1])]
        return short if ends[0] <= ends[1] else _reverse(short)
    if not directed and not _clockwise(short):
        short = _reverse(short)
    tops = [(segment[-1].imag, segment[-1].real) for segment in short[1:]]
    short = _turn(short, (tops.index(min(tops)) + 1) % len(tops))
    return short[:-1] if short[-1][0] == "L" else short
