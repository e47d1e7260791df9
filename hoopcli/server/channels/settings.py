"""What can be set of a channel, under ``[[server.channels]]``."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hoopcli.masking.patterns import text_matcher
from hoopcli.server.approvals.held import Held
from hoopcli.settings.model import Reference

Event = Literal["asked", "answered", "expired"]


def _https(url: str) -> str:
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ValueError("a webhook is reached by https")
    return url


class ChannelSettings(BaseModel):
    """One channel. It hears of requests on ``connections`` that one of ``groups`` may answer; left out: of all.

    With ``show_text`` the message holds the statement itself, which then leaves for whoever runs the channel.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")]
    kind: Literal["slack", "teams", "email", "webhook"]
    events: tuple[Event, ...] = ("asked",)
    groups: tuple[str, ...] = ()
    connections: tuple[str, ...] = ("*",)
    show_text: bool = False
    secret: Reference | None = None
    url: Annotated[str, AfterValidator(_https)] | None = None
    host: str = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    sender: str | None = None
    to: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind in {"slack", "teams"} and self.secret is None:
            raise ValueError(f"a {self.kind} channel needs secret: where the address of its incoming webhook is kept")
        if self.kind == "webhook" and (self.url is None or self.secret is None):
            raise ValueError("a webhook needs url, and secret: where the key that signs its messages is kept")
        if self.kind == "email" and not (self.sender and self.to):
            raise ValueError("email needs sender and to")
        return self

    def hears(self, held: Held, event: str) -> bool:
        """Whether a request's event is sent here."""
        request = held.request
        concerned = not (self.groups and request.groups) or bool(set(self.groups) & set(request.groups))
        there = any(text_matcher(pattern)(request.binding.connection) for pattern in self.connections)
        return event in self.events and concerned and there
