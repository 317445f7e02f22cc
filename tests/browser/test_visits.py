"""The watch itself: each kind of complaint is noticed."""

import pytest
from playwright.sync_api import expect

from tests.browser.visits import Visits

ADD = "html => document.querySelector('main').insertAdjacentHTML('beforeend', html)"


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ('<p style="color: red">inline style</p>', "Content Security Policy"),
        ('<img alt="" src="data:," onerror="inline()">', "Content Security Policy"),
        ('<img alt="" src="https://elsewhere.invalid/x.png">', "asked another server"),
        ('<img alt="" src="/missing.png">', "status of 404"),
    ],
)
def test_a_complaint_is_noticed(html: str, complaint: str, visits: Visits) -> None:
    visit = visits()
    visit.page.goto("/login")
    with visit.context.expect_event("console"):
        visit.page.evaluate(ADD, html)
    assert any(complaint in text for text in visit.complaints()), visit.problems
    visit.expects(".")


def test_a_breach_of_the_page_check_is_noticed(visits: Visits) -> None:
    visit = visits()
    visit.page.goto("/login")
    visit.page.evaluate(ADD, '<input id="nameless">')
    with pytest.raises(AssertionError, match="label"):
        visit.check_page()
    visit.page.evaluate("document.getElementById('nameless').remove()")
    visit.page.evaluate(ADD, '<p><progress id="wide" max="1" value="1" aria-label="Wide"></progress></p>')
    visit.page.evaluate("document.getElementById('wide').style.minWidth = '3000px'")
    expect(visit.page.locator("#wide")).to_be_visible()
    with pytest.raises(AssertionError, match="wider than the window"):
        visit.check_page()
