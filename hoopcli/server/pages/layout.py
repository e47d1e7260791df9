"""What every page has: who looks at it, and errors that a person can read."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from hoopcli.errors import DeniedError, HoopError, NotSignedInError, UsageError
from hoopcli.server.access import Caller, permits
from hoopcli.server.pages.browser import browser_caller
from hoopcli.server.pages.render import page
from hoopcli.server.pages.security import CSRF_HEADER, check_same_origin, csrf_token
from hoopcli.server.problems import Problem, problem
from hoopcli.server.records.kept import require_and_keep
from hoopcli.server.services import Services, services_of


@dataclass(frozen=True, slots=True)
class Area:
    """A page of the first level, and the verb and resource that the policy must allow for it; none: anybody may."""

    name: str
    path: str
    verb: str = ""
    resource: str = ""


#: Every page of the first level, in the order of the navigation.
AREAS: Final = (
    Area("Approvals", "/approvals"),
    Area("Sessions", "/sessions"),
    Area("Ledgers", "/ledgers", "audit:read", "ledgers"),
    Area("Connections", "/connections", "policy:read", "policy"),
    Area("Policy", "/policy", "policy:read", "policy"),
    Area("People", "/people", "people:read", "sessions"),
)
_TITLES: Final = {
    400: "That cannot be done",
    403: "Not allowed",
    404: "Not found",
    409: "Too late",
    422: "Not understood",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page. ``csrf`` goes into every form of theirs."""

    caller: Caller
    cookie: str
    services: Services = field(repr=False)

    @property
    def csrf(self) -> str:
        """The token of their browser's session."""
        return csrf_token(self.cookie)

    def may(self, verb: str, resource: str) -> bool:
        """Whether the policy lets them."""
        return permits(self.caller, self.services, verb, resource)

    def require(self, verb: str, resource: str, what: str, **asked: object) -> None:
        """Raise DeniedError unless the policy lets them. What they look at or do is kept, also if it is denied."""
        require_and_keep(self.caller, self.services, verb, resource, what, asked)

    def layout(self, here: str) -> dict[str, Any]:
        """What the frame of a page shows: who looks, and where else they may go."""
        areas = [area for area in AREAS if not area.verb or self.may(area.verb, area.resource)]
        return {"person": self.caller.principal, "csrf": self.csrf, "areas": areas, "here": here}


def visitor(request: Request) -> Visitor:
    """Whose browser this is. Raises NotSignedInError."""
    return Visitor(*browser_caller(request), services_of(request))


def sender(
    request: Request, who: Annotated[Visitor, Depends(visitor)], csrf: Annotated[str, Form(max_length=200)] = ""
) -> Visitor:
    """Whose browser sends a form, from one of our pages. Raises NotSignedInError, DeniedError."""
    check_same_origin(
        request, services_of(request).settings.public_url, who.cookie, csrf or request.headers.get(CSRF_HEADER, "")
    )
    return who


class PageRoute(APIRoute):
    """A route whose errors are pages too. Who is not signed in is led to where they can."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI calls."""
        handle = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handle(request)
            except NotSignedInError:
                return _to_sign_in(request)
            except HoopError as error:
                return problem_page(_status(error), error.message, error.hint)
            except RequestValidationError:
                return problem_page(422, "The form was not filled in as this page expects.", "Go back and try again.")
            except HTTPException as error:
                return problem_page(error.status_code, str(error.detail))

        return handled


def problem_page(status: int, message: str, hint: str = "") -> HTMLResponse:
    """An error as a page."""
    title = _TITLES.get(status, "Something went wrong")
    return page("problem.html", status=status, title=title, message=message, hint=hint, person=None, csrf="")


async def no_such_page(request: Request, error: Exception) -> Response:
    """An address that no route has: a page for a browser, a problem for others."""
    if "text/html" in request.headers.get("accept", ""):
        return problem_page(404, "There is no such page.")
    return problem(404, "", str(error.detail) if isinstance(error, HTTPException) else "")


def _to_sign_in(request: Request) -> Response:
    path = f"/sign-in?next={quote(request.url.path, safe='/')}"
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": path.partition("?")[0]})
    return RedirectResponse(path if request.method == "GET" else "/sign-in", 303)


def _status(error: HoopError) -> int:
    if isinstance(error, Problem):
        return error.status
    return 403 if isinstance(error, DeniedError) else 400 if isinstance(error, UsageError) else 503
