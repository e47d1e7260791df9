"""TLS towards upstreams."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from hoopcli.errors import UsageError
from hoopcli.spi import Target


def upstream_context(target: Target, alpn: Sequence[str], newest: ssl.TLSVersion) -> ssl.SSLContext:
    """A client context for a target, at most of the TLS version ``newest``.

    It verifies chain and name, against ``ca_file`` if the connection names one, unless ``trust_server_certificate``
    is ``yes``. Raises UsageError if the file cannot be read.
    """
    ca_file = target.options.get("ca_file") or None
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"the CA file {ca_file} cannot be used: {error}", "name a PEM file with --ca-file") from error
    context.maximum_version = newest
    context.set_alpn_protocols(list(alpn))
    if target.options.get("trust_server_certificate", "no") == "yes":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
