"""TLS towards upstreams."""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hoopcli.errors import UsageError
from hoopcli.kubeconfig import of_options
from hoopcli.spi import Target


def upstream_context(target: Target, alpn: Sequence[str], newest: ssl.TLSVersion) -> ssl.SSLContext:
    """A client context for a target, at most of the TLS version ``newest``.

    It verifies chain and name, against ``ca_file`` or the PEM in ``ca_data`` if the target has one, unless
    ``trust_server_certificate`` is ``yes``; and presents the certificate that ``certificate`` or a kubeconfig holds.
    Raises UsageError if a file cannot be read.
    """
    ca_file = target.options.get("ca_file") or None
    try:
        context = ssl.create_default_context(cafile=ca_file, cadata=target.options.get("ca_data") or None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the CA {ca_file or 'of the kubeconfig'} cannot be used: {error}", "name a PEM file with --ca-file"
        ) from error
    context.maximum_version = newest
    context.set_alpn_protocols(list(alpn))
    if target.options.get("trust_server_certificate", "no") == "yes":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if target.auth == "certificate":
        _present(context, Path(target.options.get("certificate") or "certificate"))
    elif target.auth == "kubeconfig" and (pem := of_options(target.options).user.certificate):
        _present_data(context, pem)
    return context


def _present(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_cert_chain(path)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the certificate in {path} cannot be used: {error.strerror or type(error).__name__}",
            "name a PEM file with certificate and key",
        ) from None


def _present_data(context: ssl.SSLContext, pem: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="hoop-") as folder:  # the ssl module reads keys from files only
        file = Path(folder) / "of the kubeconfig"
        file.touch(mode=0o600)
        file.write_bytes(pem)
        _present(context, file)
