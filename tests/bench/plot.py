# SPDX-License-Identifier: MIT
"""Line plots as SVG, by hand: two figures don't justify a plotting library."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 210, 50, 60
# Told apart by people who see no red or green as well (Okabe and Ito's palette).
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]
FONT = 'font-family="sans-serif" fill="#222"'


def nice_step(most, n_wanted=6):
    """1, 2 or 5 times a power of ten, for about n_wanted lines."""
    power = 10 ** math.floor(math.log10(most / n_wanted))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor * n_wanted >= most)


def text(x, y, words, anchor="middle", size=13, more=""):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}" {FONT} {more}>{escape(words)}</text>'


def line(x1, y1, x2, y2, color, more=""):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" {more}/>'


class Plot:
    """lines: {name: [(x, y), ...]}; x_ticks: [(x, words)]; y starts at 0."""

    def __init__(self, title, x_title, y_title, lines, x_ticks, is_log_x=False):
        self.title, self.x_title, self.y_title = title, x_title, y_title
        self.lines, self.x_ticks = lines, x_ticks
        self.scale_x = math.log10 if is_log_x else float
        xs = [self.scale_x(x) for x, _ in x_ticks]
        self.first, self.span = min(xs), (max(xs) - min(xs)) or 1
        self.most = max(y for points in lines.values() for _, y in points) or 1
        self.step = nice_step(self.most)
        self.top = math.ceil(self.most / self.step) * self.step

    def x(self, value):
        return LEFT + (self.scale_x(value) - self.first) / self.span * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        return HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)

    def axes(self):
        parts = [text(LEFT, 26, self.title, "start", 16, 'font-weight="bold"'),
                 text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, self.x_title),
                 text(20, (TOP + HEIGHT - BOTTOM) / 2, self.y_title,
                      more=f'transform="rotate(-90 20 {(TOP + HEIGHT - BOTTOM) / 2})"')]
        for n in range(round(self.top / self.step) + 1):
            at = self.y(n * self.step)
            parts += [line(LEFT, at, WIDTH - RIGHT, at, "#ddd" if n else "#222"),
                      text(LEFT - 8, at + 4, f"{n * self.step:,g}", "end")]
        for value, words in self.x_ticks:
            at, bottom = self.x(value), HEIGHT - BOTTOM
            parts += [line(at, bottom, at, bottom + 5, "#222"), text(at, bottom + 22, words)]
        return parts

    def curve(self, name, points, color, label_y):
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        end_x, end_y = self.x(points[-1][0]), self.y(points[-1][1])
        return [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>',
                *(f'<circle cx="{self.x(x):.1f}" cy="{self.y(y):.1f}" r="3.5" fill="{color}"/>' for x, y in points),
                line(end_x + 5, end_y, WIDTH - RIGHT + 22, label_y, color, 'stroke-width="0.7"'),
                text(WIDTH - RIGHT + 26, label_y + 4, name, "start")]

    def label_heights(self):
        """Names beside the ends of their lines, pushed apart where lines end together."""
        order = sorted(self.lines, key=lambda name: self.y(self.lines[name][-1][1]))
        heights, lowest = {}, TOP
        for name in order:
            heights[name] = max(self.y(self.lines[name][-1][1]), lowest)
            lowest = heights[name] + 17
        return heights

    def svg(self):
        heights = self.label_heights()
        parts = self.axes()
        for (name, points), color in zip(self.lines.items(), COLORS):
            parts += self.curve(name, points, color, heights[name])
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                f'viewBox="0 0 {WIDTH} {HEIGHT}">\n<rect width="100%" height="100%" fill="#fff"/>\n'
                + "\n".join(parts) + "\n</svg>\n")
