"""The parts of the file manager and the trash as a person finds them: by what they say, not by how they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect


def address_of(prefix: str, **parameters: str) -> str:
    """The page of a folder."""
    return "/?" + urlencode({"prefix": prefix, **parameters})


@dataclass(frozen=True)
class Manager:
    """A list of files in an open page."""

    page: Page

    @property
    def list(self) -> Locator:
        return self.page.locator("#list")

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def row(self, name: str) -> Locator:
        """The row of exactly this name."""
        return self.list.get_by_role("row").filter(has=self.page.get_by_role("link", name=name, exact=True))

    def trashed(self, name: str) -> Locator:
        """A row of the trash, where names lead nowhere."""
        return self.list.get_by_role("row").filter(has_text=name)

    def select(self, *names: str) -> None:
        for name in names:
            self.list.get_by_role("checkbox", name=f"Select {name}", exact=True).check()

    def act(self, action: str) -> None:
        """A button of the bar that stands above the list while something is selected."""
        bar = self.page.get_by_role("toolbar", name="What to do with the selected entries")
        bar.get_by_role("button", name=action, exact=True).click()

    def undo(self) -> None:
        self.page.get_by_role("button", name="Undo").last.click()

    def answer(self, text: str, action: str) -> None:
        """Enter a line into the open dialog and press its button."""
        self.dialog.get_by_role("textbox").fill(text)
        self.press(action)

    def press(self, action: str) -> None:
        """A button of the open dialog."""
        self.dialog.get_by_role("button", name=action, exact=True).click()

    def expect_names(self, *names: str) -> None:
        """Exactly these entries are on show, in this order."""
        expect(self.list.locator("tbody tr:not(.spacer) a")).to_have_text(list(names))

    def expect_note(self, text: str) -> None:
        expect(self.page.locator("#toasts").get_by_text(re.compile(re.escape(text))).last).to_be_visible()

    def details(self, name: str) -> Locator:
        """The open panel of a file."""
        self.list.get_by_role("button", name=f"Details of {name}", exact=True).click()
        panel = self.page.get_by_role("dialog", name=name)
        expect(panel.get_by_label("Facts")).to_be_visible()
        return panel
