import pytest

from .pages import HOSTILE, full_page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pages")


class Opened:
    """A page that remembers every complaint, request and dialog."""

    def __init__(self, browser, folder, report, **context):
        file = folder / "page.html"
        file.write_text(report.to_html(), encoding="utf-8")
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.troubles = []
        self.page.on("console", lambda message: self.troubles.append(message.text))
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.troubles.append(dialog.message), dialog.dismiss()))
        self.page.on("request", self._request)
        self.page.goto(file.as_uri())

    def _request(self, request):
        if not request.url.endswith("/page.html") and request.url != "data:,":
            self.troubles.append(request.url)


@pytest.fixture
def open_page(browser, folder):
    opened = []

    def open_one(report=None, **context):
        opened.append(Opened(browser, folder, report or full_page(), **context))
        return opened[-1].page

    yield open_one
    for one in opened:
        assert one.troubles == []
        one.context.close()


def column(page, index):
    return [cell.strip() for cell in page.locator(f"tbody tr > :nth-child({index})").all_inner_texts()]


@pytest.mark.parametrize("word", ["word", HOSTILE, "x" * 300])
def test_no_scrolling_sideways_on_a_phone_whatever_the_words(open_page, word):
    page = open_page(full_page(word, "javascript:alert(1)"), viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelectorAll('img, svg[onload], script').length") == 1
    page.locator(".plot").first.hover()
    page.locator(".plot").last.hover()
    assert word[:20] in page.locator(".plot").last.locator(".readout").inner_text()
    page.locator("button.copy").click()


def test_text_in_plots_is_readable_on_a_phone(open_page):
    page = open_page(viewport={"width": 390, "height": 800})
    smallest = page.evaluate(
        """Math.min(...[...document.querySelectorAll('.plot svg')].map(
          (svg) => parseFloat(getComputedStyle(svg).fontSize) * svg.clientWidth / svg.viewBox.baseVal.width))"""
    )
    assert smallest >= 11


def test_headers_sort_by_click_and_key(open_page):
    page = open_page()
    loss = page.locator("thead th").nth(1)
    assert loss.get_attribute("aria-sort") == "none"
    loss.locator("button").click()
    assert loss.get_attribute("aria-sort") == "ascending"
    assert column(page, 2) == ["-1.00", "2.50", "10.25", "–"]
    loss.locator("button").press("Enter")
    assert loss.get_attribute("aria-sort") == "descending"
    assert column(page, 2) == ["10.25", "2.50", "-1.00", "–"], "what is missing stays last"
    page.locator("thead button").first.click()
    assert column(page, 1) == ["a word", "b word", "c", "d"]
    assert loss.get_attribute("aria-sort") == "none"


def test_copy_gives_tabs_full_precision_and_no_formula(open_page):
    page = open_page(full_page("=1+1"))
    page.evaluate("() => { navigator.clipboard.writeText = async (text) => { window.copied = text; }; }")
    page.locator("button.copy").click()
    page.get_by_text("Copied", exact=True).wait_for()
    lines = page.evaluate("window.copied").splitlines()
    assert lines[0].startswith("Model =1+1\tLoss =1+1\t")
    assert lines[1].startswith("a =1+1\t2.5\t0\t")
    assert lines[3].startswith("c\t\t0\t")


def test_hover_shows_the_values(open_page):
    page = open_page()
    plot = page.locator(".plot").first
    readout = plot.locator(".readout")
    assert not readout.is_visible()
    plot.hover()
    assert "model word" in readout.inner_text()
    assert " to " in readout.inner_text()
    assert plot.locator(".cursor line").count() == 1
    page.mouse.move(0, 0)
    assert not readout.is_visible()


def test_touch_shows_the_values(open_page):
    page = open_page(viewport={"width": 390, "height": 800}, has_touch=True)
    plot = page.locator(".plot").first
    plot.tap()
    assert plot.locator(".readout").is_visible()


def test_arrow_keys_walk_along_x(open_page):
    page = open_page()
    plot = page.locator(".plot").first
    head = plot.locator(".readout .head b")
    plot.focus()
    page.keyboard.press("Home")
    assert head.inner_text().strip() == "0"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert head.inner_text().strip() == "2"
    page.keyboard.press("End")
    assert head.inner_text().strip() == "30"
    page.keyboard.press("ArrowLeft")
    assert head.inner_text().strip() == "29"
    page.keyboard.press("Escape")
    assert not plot.locator(".readout").is_visible()


def test_arrow_keys_walk_over_a_heat_map(open_page):
    page = open_page()
    plot = page.locator(".plot").last
    plot.focus()
    for key in ("Home", "ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown"):
        page.keyboard.press(key)
    assert [text.strip() for text in plot.locator(".readout b").all_inner_texts()] == ["b", "e", "6"]


def colours(page):
    return page.evaluate(
        """[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color,
            getComputedStyle(document.querySelector('svg .s0')).color]"""
    )


def test_dark_and_light_follow_the_system_and_the_button(open_page):
    light, dark = colours(open_page(color_scheme="light")), colours(page := open_page(color_scheme="dark"))
    assert all(a != b for a, b in zip(light, dark, strict=True))
    button = page.locator("button.theme")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert colours(page) == light
    assert button.get_attribute("aria-pressed") == "false"


def test_print_is_light_and_has_no_buttons(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert colours(page)[1] == "rgb(27, 33, 38)"
    assert not page.locator("button.copy").is_visible()
    assert not page.locator("button.theme").is_visible()


def test_the_keyboard_skips_to_the_content(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"


def test_copy_works_where_the_clipboard_is_closed(open_page):
    page = open_page()
    page.evaluate("() => { navigator.clipboard.writeText = async () => { throw new Error('closed'); }; }")
    page.locator("button.copy").click()
    page.get_by_text("Copied", exact=True).wait_for()
    assert page.locator("textarea").count() == 0
