"""Charts as SVG text, with nothing but Python's standard library: bars beside a reference, and lines."""
import html
import math
import shutil
import subprocess
import sys

FONT = 'font-family="sans-serif" font-size="12"'
COLOURS = "#1f77b4 #d62728 #2ca02c #9467bd".split()
ROW, LEFT, RIGHT, TOP, BOTTOM, WIDTH = 22, 300, 90, 48, 36, 860


def text(x, y, words, anchor="start", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {FONT} {extra}>{html.escape(str(words))}</text>'


def line(x1, y1, x2, y2, colour="#ccc", width=1, extra=""):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-width="{width}" {extra}/>')


def document(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">\n<rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def decades(low, high):
    """Round numbers of a logarithmic axis from low to high: 1, 2 and 5 in each decade."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    ticks = [digit * 10.0 ** power for power in range(first, last + 1) for digit in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def short(number):
    for limit, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:g} {sign}"
    return f"{number:g}"


def bars(title, axis, rows):
    """rows: (label, value, low, high), each a bar from 1 on a logarithmic axis with its spread."""
    low = min([0.5, *(row[2] for row in rows)]) * 0.9
    high = max([2.0, *(row[3] for row in rows)]) * 1.1
    inner, height = WIDTH - LEFT - RIGHT, TOP + ROW * len(rows) + BOTTOM

    def at(value):
        return LEFT + inner * math.log(value / low) / math.log(high / low)

    parts = [text(10, 22, title, extra='font-weight="bold"')]
    for tick in decades(low, high):
        parts += [line(at(tick), TOP - 6, at(tick), height - BOTTOM),
                  text(at(tick), height - BOTTOM + 15, f"{tick:g}", "middle")]
    for i, (label, value, least, most) in enumerate(rows):
        middle = TOP + ROW * i + ROW / 2
        colour = COLOURS[2] if value >= 1 else COLOURS[1]
        left, right = sorted((at(1), at(value)))
        parts += [text(LEFT - 8, middle + 4, label, "end"),
                  f'<rect x="{left:.1f}" y="{middle - 7:.1f}" width="{max(right - left, 1):.1f}" height="14" '
                  f'fill="{colour}" fill-opacity="0.75"/>',
                  line(at(least), middle, at(most), middle, "black", 1.5),
                  text(WIDTH - RIGHT + 8, middle + 4, f"{value:.2f}")]
    parts += [line(at(1), TOP - 6, at(1), height - BOTTOM, "black"),
              text(LEFT + inner / 2, height - 6, axis, "middle")]
    return document(WIDTH, height, parts)


def groups(title, axis, names, rows):
    """rows: (label, [(value, low, high) or None for each of names]): bars from 1 on a logarithmic axis, a colour
    for each name."""
    known = [figures for _, values in rows for figures in values if figures]
    low = min([0.5, *(figures[1] for figures in known)]) * 0.9
    high = max([2.0, *(figures[2] for figures in known)]) * 1.1
    thick, top = 14, TOP + 20
    step = thick * len(names) + 8
    inner, height = WIDTH - LEFT - RIGHT, top + step * len(rows) + BOTTOM

    def at(value):
        return LEFT + inner * math.log(value / low) / math.log(high / low)

    parts = [text(10, 22, title, extra='font-weight="bold"')]
    for i, name in enumerate(names):
        parts += [f'<rect x="{LEFT + 240 * i}" y="32" width="14" height="14" fill="{COLOURS[i]}"/>',
                  text(LEFT + 240 * i + 20, 44, name)]
    for tick in decades(low, high):
        parts += [line(at(tick), top - 6, at(tick), height - BOTTOM),
                  text(at(tick), height - BOTTOM + 15, f"{tick:g}", "middle")]
    for i, (label, values) in enumerate(rows):
        upper = top + step * i
        parts.append(text(LEFT - 8, upper + step / 2, label, "end"))
        for j, figures in enumerate(values):
            y = upper + thick * j
            if not figures:
                parts.append(text(at(1) + 6, y + 11, "-"))
                continue
            value, least, most = figures
            left, right = sorted((at(1), at(value)))
            parts += [f'<rect x="{left:.1f}" y="{y}" width="{max(right - left, 1):.1f}" height="{thick - 2}" '
                      f'fill="{COLOURS[j]}" fill-opacity="0.75"/>',
                      line(at(least), y + 6, at(most), y + 6, "black", 1.5),
                      text(WIDTH - RIGHT + 8, y + 11, f"{value:.2f}")]
    parts += [line(at(1), top - 6, at(1), height - BOTTOM, "black"),
              text(LEFT + inner / 2, height - 6, axis, "middle")]
    return document(WIDTH, height, parts)


def save(path, svg):
    """path without its ending: .svg, and .png beside it where there is a converter."""
    with open(path + ".svg", "w") as file:
        file.write(svg)
    print(path + ".svg")
    converter = shutil.which("rsvg-convert")
    if converter:
        subprocess.run([converter, "-o", path + ".png", path + ".svg"], check=True)
        print(path + ".png")
    else:
        print("no PNG: rsvg-convert is not here (Debian's package: librsvg2-bin)", file=sys.stderr)


def lines(title, x_axis, y_axis, series, x_text=short):
    """series: {name: [(x, y), ...]}, both axes logarithmic; every x gets a tick, which x_text words."""
    left, right, top, bottom, width, height = 80, 170, 48, 48, 720, 380
    points = [point for values in series.values() for point in values if point[1] > 0]
    xs = sorted({x for x, _ in points})
    low, high = min(y for _, y in points) * 0.8, max(y for _, y in points) * 1.25
    span = math.log(xs[-1] / xs[0]) or 1

    def across(x):
        return left + (width - left - right) * math.log(x / xs[0]) / span

    def up(y):
        return height - bottom - (height - top - bottom) * math.log(y / low) / math.log(high / low)

    parts = [text(10, 22, title, extra='font-weight="bold"')]
    for tick in decades(low, high):
        parts += [line(left, up(tick), width - right, up(tick)), text(left - 6, up(tick) + 4, short(tick), "end")]
    for x in xs:
        parts += [line(across(x), top, across(x), height - bottom, "#eee"),
                  text(across(x), height - bottom + 16, x_text(x), "middle")]
    for i, (name, values) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in values if y > 0)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>'
                  for x, y in values if y > 0]
        parts += [line(width - right + 12, top + 20 * i, width - right + 32, top + 20 * i, colour, 2),
                  text(width - right + 38, top + 20 * i + 4, name)]
    parts += [text((left + width - right) / 2, height - 10, x_axis, "middle"), text(10, 40, y_axis)]
    return document(width, height, parts)
