"""The drawing says what the catalogue and the running applications say, and nothing else."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from hiresort.topology import topology
from hiresort.topology_drawing import as_mermaid, as_text
from hiresort.topology_svg import as_svg
from hiresort.topology_view import AgentView, AppView, TableView, Topology, running
from schemas.records import Availability
from topics.catalog import PAYMENTS_APP, RESERVATIONS_APP, TOPICS, Topic

SVG = "{http://www.w3.org/2000/svg}"

SMALL = Topology(
    apps=(
        AppView(
            "shop",
            agents=(AgentView("sell", ("orders", "answers")),),
            tables=(TableView("stock", "shop-stock-changelog"), TableView("goods", "goods")),
        ),
        AppView("bank", agents=(AgentView("pay", ("bills",)),), tables=()),
    ),
    topics=(
        Topic("orders", "id", (Availability,), ("clients",), ("shop",)),
        Topic("goods", "id", (Availability,), ("operators",), ("shop", "api"), compacted=True),
        Topic("bills", "id", (Availability,), ("shop",), ("bank",)),
        Topic("answers", "id", (Availability,), ("bank",), ("shop", "clients")),
        Topic("shop-stock-changelog", "id", (Availability,), ("shop",), ("api",), compacted=True),
        Topic("failures", "id", (), ("shop", "bank"), ("operators",)),
    ),
)


def test_a_topic_that_keeps_a_table_is_part_of_the_table() -> None:
    assert [topic.name for topic in SMALL.flows] == [
        "orders",
        "goods",
        "bills",
        "answers",
        "failures",
    ]


def test_an_application_writes_the_topics_that_name_it_as_writer() -> None:
    shop, bank = SMALL.apps
    assert [topic.name for topic in SMALL.written_by(shop)] == ["bills", "failures"]
    assert [topic.name for topic in SMALL.written_by(bank)] == ["answers", "failures"]


def test_a_table_whose_topic_others_write_follows_it() -> None:
    shop = SMALL.apps[0]
    assert [table.name for table in shop.tables if SMALL.follows(shop, table)] == ["goods"]


def test_text_tells_each_application_and_each_topic() -> None:
    assert as_text(SMALL).splitlines() == [
        "shop",
        "  sell <- orders, answers",
        "  table stock -> api",
        "  table goods <- goods",
        "  -> bills, failures",
        "bank",
        "  pay <- bills",
        "  -> answers, failures",
        "",
        "orders    clients -> shop",
        "goods     operators -> shop, api",
        "bills     shop -> bank",
        "answers   bank -> shop, clients",
        "failures  shop, bank -> operators",
    ]


def test_mermaid_has_a_node_for_each_and_an_arrow_for_each_flow() -> None:
    drawn = as_mermaid(SMALL).splitlines()
    assert drawn[0] == "flowchart LR"
    assert '  subgraph app_shop["shop"]' in drawn
    assert '    table_shop_stock[("stock")]' in drawn
    arrows = {line.strip() for line in drawn if "-->" in line}
    assert arrows == {
        "out_clients --> topic_orders",
        "out_operators --> topic_goods",
        "topic_orders --> agent_shop_sell",
        "topic_answers --> agent_shop_sell",
        "topic_goods --> table_shop_goods",
        "topic_bills --> agent_bank_pay",
        "app_shop --> topic_bills",
        "app_bank --> topic_answers",
        "app_shop --> topic_failures",
        "app_bank --> topic_failures",
        "topic_goods --> in_api",
        "topic_answers --> in_clients",
        "topic_failures --> in_operators",
        "table_shop_stock --> in_api",
    }


def _texts(svg: str) -> list[str]:
    return ["".join(text.itertext()) for text in ET.fromstring(svg).iter(SVG + "text")]  # noqa: S314  # ours


def _boxes(svg: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of every box, the background left out."""
    rects = list(ET.fromstring(svg).iter(SVG + "rect"))[1:]  # noqa: S314  # ours
    corners = [
        [float(rect.get(name, 0)) for name in ("x", "y", "width", "height")] for rect in rects
    ]
    return [(x, y, x + width, y + height) for x, y, width, height in corners]


@pytest.fixture(params=["none", "small", "real"])
def drawn(request: pytest.FixtureRequest) -> Topology:
    """Nothing, a topology by hand, and the real one."""
    made = {"none": Topology((), ()), "small": SMALL}
    return made.get(request.param) or running()


def test_the_picture_names_everything_once(drawn: Topology) -> None:
    texts = _texts(as_svg(drawn))
    for app in drawn.apps:
        names = [app.name, *(a.name for a in app.agents)]
        assert [texts.count(name) for name in names] == [1] * len(names)
        assert all(table.name in " ".join(texts) for table in app.tables)
    for topic in drawn.flows:
        assert topic.name in texts


def test_the_picture_says_in_words_what_it_shows(drawn: Topology) -> None:
    root = ET.fromstring(as_svg(drawn))  # noqa: S314  # ours
    assert root.get("role") == "img"
    title, description = root.find(SVG + "title"), root.find(SVG + "desc")
    assert title is not None
    assert title.text == "Topics, agents and tables"
    assert description is not None
    assert (description.text or "") == as_text(drawn)


def test_boxes_of_the_picture_hold_each_other_or_stand_apart(drawn: Topology) -> None:
    boxes = _boxes(as_svg(drawn))
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = (
                one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            )
            inside = (
                one[0] <= other[0]
                and one[1] <= other[1]
                and one[2] >= other[2]
                and one[3] >= other[3]
            )
            assert apart or inside


def test_the_picture_stays_inside_its_frame(drawn: Topology) -> None:
    svg = as_svg(drawn)
    _, _, width, height = map(float, (ET.fromstring(svg).get("viewBox") or "").split())  # noqa: S314
    assert all(
        x >= 0 and y >= 0 and right <= width and bottom <= height
        for x, y, right, bottom in _boxes(svg)
    )


def test_a_name_with_signs_of_xml_stays_text() -> None:
    odd = Topology(apps=(AppView("a<b>&", (), ()),), topics=())
    assert "a<b>&" in _texts(as_svg(odd))


def test_the_applications_read_and_keep_what_the_catalogue_says() -> None:
    real = running()
    assert [app.name for app in real.apps] == [RESERVATIONS_APP, PAYMENTS_APP]
    catalogue = {topic.name: topic for topic in TOPICS}
    for app in real.apps:
        read = {name for agent in app.agents for name in agent.topics}
        followed = {table.changelog for table in app.tables if real.follows(app, table)}
        assert read | followed == {t.name for t in TOPICS if app.name in t.readers}
        changelogs = {table.changelog for table in app.tables}
        assert all(catalogue[name].compacted for name in changelogs)
        assert changelogs - followed == {
            t.name for t in TOPICS if app.name in t.writers and t.compacted
        }


@pytest.mark.parametrize("form", ["text", "mermaid", "svg"])
def test_the_command_writes_each_form(form: str) -> None:
    result = CliRunner().invoke(topology, ["--format", form])
    assert result.exit_code == 0
    assert "reservation-commands" in result.output


def test_the_picture_in_the_documentation_is_the_present_one() -> None:
    picture = Path(__file__).parents[2] / "docs" / "topology.svg"
    assert picture.read_text() == as_svg(running()) + "\n", (
        "write it again: hiresort topology --format svg > docs/topology.svg"
    )


def test_an_unknown_form_is_refused_with_those_that_there_are() -> None:
    result = CliRunner().invoke(topology, ["--format", "png"])
    assert result.exit_code == 2
    assert "'text', 'mermaid', 'svg'" in result.output
