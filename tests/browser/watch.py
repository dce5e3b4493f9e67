"""What a page does that no page may: log errors, break its security policy, ask other origins, get no answer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

# Kept by the page itself: what the policy stops is logged only where the browser thinks that somebody should know.
_NOTE_VIOLATIONS = """
window.cspViolations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.cspViolations.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""
# The page asks whether a name is free by taking it; the browser logs the refusal.
_REFUSALS = ("status of 409", "status of 412")
# What is in the browser already; its own viewer of PDF is one of its extensions.
_HARMLESS = ("blob:", "data:", "chrome-extension:", "chrome:")


class Watch:
    """Listens to all pages of the contexts that it is attached to; `problems` says what they did wrong."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._forgiven = False
        self.problems: list[str] = []

    def attach(self, context: BrowserContext) -> None:
        context.add_init_script(_NOTE_VIOLATIONS)
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failure)
        context.on("response", self._on_response)

    def take_violations(self, context: BrowserContext) -> None:
        """Read what the open pages noted of violations of their security policy."""
        for page in context.pages:
            for text in page.evaluate("window.cspViolations ?? []"):
                self.problems.append(f"{page.url}: violates its policy: {text}")

    @contextlib.contextmanager
    def while_broken(self) -> Iterator[None]:
        """Inside, the cluster is being broken: requests may fail, and the browser may log that they did."""
        self._forgiven = True
        try:
            yield
        finally:
            self._forgiven = False

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        is_answer = "Failed to load resource" in message.text
        if not (is_answer and (self._forgiven or any(text in message.text for text in _REFUSALS))):
            self.problems.append(f"{message.location.get('url')}: logs: {message.text}")

    def _on_error(self, error: WebError) -> None:
        self.problems.append(f"uncaught: {error.error}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._base_url}/", *_HARMLESS)):
            self.problems.append(f"asks another origin: {request.url}")

    def _on_failure(self, request: Request) -> None:
        # A page that is left, and a download, break their requests off.
        if not self._forgiven and request.failure != "net::ERR_ABORTED":
            self.problems.append(f"{request.method} {request.url}: {request.failure}")

    def _on_response(self, response: Response) -> None:
        if response.status >= 500 and not self._forgiven:
            self.problems.append(f"{response.request.method} {response.url}: {response.status}")
