"""A topology as a picture: columns from left to right, in the order in which records flow.

Whoever writes from outside stands left; then topics and applications take turns. Who reads from
outside stands in words at the topic or table that is read, so that no line has to cross the
picture.
"""

from dataclasses import dataclass, field
from html import escape

from hiresort.topology_drawing import as_text
from hiresort.topology_view import AgentView, AppView, TableView, Topology
from topics.catalog import Topic

MARGIN = 24
TITLE = 44
GAP = 96
"""Between two columns."""
APART = 22
"""Between two boxes of a column."""
FONT = 13
LINE = 18
PAD = 14
LETTER = 8
"""Width of a letter, at most about: the fonts are the reader's."""
LANE = 18
"""Between two lines that go back below the boxes."""

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2733 }
.title { font-size: 18px; font-weight: 600 }
.app-name { font-weight: 600 }
.note { font-size: 11px; fill: #51606f }
.ground { fill: #ffffff }
.app { fill: #eef3f8; stroke: #7b93ab }
.agent { fill: #ffffff; stroke: #2f6690 }
.topic { fill: #fff6e0; stroke: #c98a1b }
.table { fill: #e6f4ea; stroke: #4c9a6a }
.outside { fill: #f3f3f3; stroke: #8a8a8a; stroke-dasharray: 4 3 }
path { fill: none; stroke: #51606f; stroke-width: 1.4; marker-end: url(#head) }
marker path { fill: #51606f; stroke: none; marker-end: none }
"""

FRAME = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view}" {size} role="img">
<title>Topics, agents and tables</title>
<desc>{words}</desc>
<style>{style}</style>
<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0 0 8 4 0 8z"/></marker></defs>
<rect class="ground" {size}/>
<text class="title" x="{left}" y="{top}">Topics, agents and tables</text>
{drawn}
</svg>"""
LEGEND = ("outside", "topic", "app", "agent", "table")


@dataclass
class Box:
    """A rectangle with lines of text; boxes inside of it move with it."""

    kind: str
    name: str
    note: str = ""
    inside: "list[Box]" = field(default_factory=list)
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0

    def measure(self) -> None:
        """Take the size that the text and the boxes inside need."""
        lines = 2 if self.note else 1
        for box in self.inside:
            box.measure()
        widest = max((box.width for box in self.inside), default=0)
        text = max(len(self.name), len(self.note) * 0.85) * LETTER
        self.width = max(text, widest) + 2 * PAD
        self.height = LINE * lines + PAD
        self.height += sum(box.height + PAD / 2 for box in self.inside)
        self.height += PAD / 2 if self.inside else 0

    def move(self, x: float, y: float) -> None:
        """Place it and what is inside."""
        self.x, self.y = x, y
        below = y + LINE + PAD
        for box in self.inside:
            box.move(x + PAD, below)
            below += box.height + PAD / 2

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def middle(self) -> float:
        """Half-way down."""
        return self.y + self.height / 2

    def beside(self, other: "Box") -> float:
        """How far down this box's side a line to `other` starts."""
        return min(max(other.middle, self.y + LINE), self.y + self.height - LINE)


def as_svg(topology: Topology) -> str:
    """Draw it: one SVG, alone and complete, with a title and the same in words."""
    picture = _Picture(topology)
    drawn = "\n".join([*picture.boxes(), *picture.lines()])
    width, height = picture.size()
    size = f'width="{width:.0f}" height="{height:.0f}"'
    return FRAME.format(
        size=size,
        view=f"0 0 {width:.0f} {height:.0f}",
        words=escape(as_text(topology)),
        style=STYLE,
        left=MARGIN,
        top=MARGIN + FONT,
        drawn=drawn,
    )


class _Picture:
    """Boxes by what they stand for, in their columns, and the lines between them."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._flows = sorted(topology.flows, key=self._height_of_reader)
        self._topics = {topic.name: self._topic(topic) for topic in self._flows}
        self._apps = {app.name: self._app(app) for app in topology.apps}
        sources = [w for topic in self._flows for w in topology.outsiders(topic.writers)]
        self._sources = {name: Box("outside", name) for name in dict.fromkeys(sources)}
        self._columns = self._ranked()
        self._legend = _legend()
        self._lanes = 0
        self._place()

    def boxes(self) -> list[str]:
        """Every box, the outer before the inner, and above them what each kind means."""
        return [line for box in [*self._legend, *self._all()] for line in _drawn(box)]

    def lines(self) -> list[str]:
        """Every flow, with its arrow."""
        topology = self._topology
        lines = []
        for topic in self._flows:
            box = self._topics[topic.name]
            starts = [self._apps.get(w) or self._sources[w] for w in topic.writers]
            lines += [self._line(start, box) for start in starts]
        for app in topology.apps:
            inner = {(box.kind, box.name): box for box in self._apps[app.name].inside}
            ends = [(name, inner["agent", a.name]) for a in app.agents for name in a.topics]
            ends += [
                (t.changelog, inner["table", t.name])
                for t in app.tables
                if topology.follows(app, t)
            ]
            lines += [self._line(self._topics[name], end) for name, end in ends]
        return lines

    def size(self) -> tuple[float, float]:
        """Width and height, once the lines are drawn."""
        boxes = [*self._legend, *self._all()]
        right = max(box.right for box in boxes)
        return right + MARGIN, self._bottom() + LANE * self._lanes + MARGIN

    def _height_of_reader(self, topic: Topic) -> int:
        """How far up in its app the first reader stands: then fewer lines cross."""
        heights = [len(self._topology.topics)]
        for app in self._topology.apps:
            names = [*(a.topics for a in app.agents), *((t.changelog,) for t in app.tables)]
            heights += [height for height, read in enumerate(names) if topic.name in read]
        return min(heights)

    def _topic(self, topic: Topic) -> Box:
        readers = self._topology.outsiders(topic.readers)
        return Box("topic", topic.name, f"read by {', '.join(readers)}" if readers else "")

    def _app(self, app: AppView) -> Box:
        def table(view: TableView) -> Box:
            readers = [] if self._topology.follows(app, view) else self._topology.readers(view)
            return Box("table", view.name, f"read by {', '.join(readers)}" if readers else "")

        def agent(view: AgentView) -> Box:
            return Box("agent", view.name)

        inside = [*map(agent, app.agents), *map(table, app.tables)]
        return Box("app", app.name, inside=inside)

    def _ranked(self) -> list[list[Box]]:
        """Columns by distance from the outside; what is not reached comes last."""
        topology, ranks = self._topology, dict[str, int]()
        frontier = [t.name for t in self._flows if topology.outsiders(t.writers)]
        rank = 1
        while frontier:
            ranks |= dict.fromkeys(frontier, rank)
            apps = [a for a in topology.apps if a.name not in ranks and self._reads(a, frontier)]
            ranks |= {app.name: rank + 1 for app in apps}
            written = [topic.name for app in apps for topic in topology.written_by(app)]
            frontier = [name for name in dict.fromkeys(written) if name not in ranks]
            rank += 2
        columns = [list(self._sources.values())] + [[] for _ in range(rank + 1)]
        for name, box in (self._topics | self._apps).items():
            columns[ranks.get(name, rank + (box.kind == "app"))].append(box)
        return [column for column in columns if column]

    def _reads(self, app: AppView, names: list[str]) -> bool:
        read = {name for agent in app.agents for name in agent.topics}
        return bool((read | {table.changelog for table in app.tables}) & set(names))

    def _place(self) -> None:
        """Set the boxes of each column one below the other, all columns on one middle line."""
        for box in self._outer():
            box.measure()
        heights = [sum(box.height + APART for box in column) - APART for column in self._columns]
        tallest = max(heights, default=0)
        x = float(MARGIN)
        for column, height in zip(self._columns, heights, strict=True):
            y = MARGIN + TITLE + (tallest - height) / 2
            width = max(box.width for box in column)
            for box in column:
                box.width = width
                for inner in box.inside:
                    inner.width = width - 2 * PAD
                box.move(x, y)
                y += box.height + APART
            x += width + GAP

    def _outer(self) -> list[Box]:
        return [box for column in self._columns for box in column]

    def _all(self) -> list[Box]:
        return [box for outer in self._outer() for box in (outer, *outer.inside)]

    def _bottom(self) -> float:
        return max((box.y + box.height for box in self._outer()), default=MARGIN + TITLE)

    def _line(self, start: Box, end: Box) -> str:
        """A line to the next column, back to the one before, or back below all boxes."""
        y1, y2 = start.beside(end), end.beside(start)
        if end.x > start.x:
            return _curve(start.right, y1, end.x, y2)
        steps = self._column(start) - self._column(end)
        if steps == 1:
            # Lower than the line that leads the other way.
            return _curve(start.x, y1 + PAD / 2, end.right, y2 + PAD / 2)
        self._lanes += 1
        low = self._bottom() + LANE * self._lanes
        x1, x2 = start.x - LANE, self._outer_of(end).right + LANE
        path = f"M{start.x:.0f} {y1 + PAD / 2:.0f}H{x1:.0f}V{low:.0f}H{x2:.0f}V{y2:.0f}"
        return f'<path d="{path}H{end.right:.0f}"/>'

    def _column(self, box: Box) -> int:
        outer = self._outer_of(box)
        return next(n for n, column in enumerate(self._columns) if any(outer is b for b in column))

    def _outer_of(self, box: Box) -> Box:
        return next(o for o in self._outer() if o is box or any(box is inner for inner in o.inside))


def _legend() -> list[Box]:
    """A box of each kind beside the title."""
    boxes = [Box(kind, "application" if kind == "app" else kind) for kind in LEGEND]
    x = float(MARGIN + LETTER * 36)
    for box in boxes:
        box.measure()
        box.move(x, MARGIN - FONT / 2)
        x = box.right + PAD
    return boxes


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    half = (x1 + x2) / 2
    return (
        f'<path d="M{x1:.0f} {y1:.0f}C{half:.0f} {y1:.0f} {half:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"/>'
    )


def _drawn(box: Box) -> list[str]:
    x, y = box.x + PAD, box.y + LINE
    if not box.inside and not box.note:
        y = box.middle + FONT / 3  # a line stands on the foot of its letters
    lines = [
        _rect(box),
        f'<text class="{box.kind}-name" x="{x:.0f}" y="{y:.0f}">{escape(box.name)}</text>',
    ]
    if box.note:
        note = f'<text class="note" x="{x:.0f}" y="{y + LINE - 2:.0f}">{escape(box.note)}</text>'
        lines.append(note)
    return lines


def _rect(box: Box) -> str:
    size = f'width="{box.width:.0f}" height="{box.height:.0f}"'
    corner = 3 if box.kind in ("topic", "app") else 10
    return f'<rect class="{box.kind}" x="{box.x:.0f}" y="{box.y:.0f}" {size} rx="{corner}"/>'
