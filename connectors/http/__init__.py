"""HTTP/1.1 between a client and an upstream, one exchange at a time, shared by the connectors whose protocol is HTTP.

``serve_http(context, application, Upstream(host, port, tls))`` is the layer of one client connection, plain or TLS. It
hands each request to ``application.handle(exchange)``, whose steps are used with ``yield from``:

* ``request``, ``chunk()``, ``read(limit)``: the request and its body. ``Expect: 100-continue`` is answered when the
  body is first wanted.
* ``authorize(statement)``, ``credential(resource)``, ``noticed(notice)``, ``drained()``: what is asked of the broker. A
  client that hangs up meanwhile is heard and raises ``PeerGoneError``.
* ``forward(request, body)``, ``upstream_chunk()``, ``upstream_read(limit)``: the upstream. Only a permitted exchange
  forwards. Without a body the client's own is streamed. Hop-by-hop fields and framing are not the application's to set.
* ``begin(response)``, ``send(data)``, ``end()``, or ``respond(status, headers, body)``: the answer.
* ``upgrade(request)``, ``switch(response)``, ``duplex()``, ``raw(peer, data)``: connections that leave HTTP.

A HoopError out of ``handle`` becomes an answer in the form that ``application.refusal`` gives it, unless one was begun:
then the connection is cut, so that nobody takes half an answer for a whole one. What breaks HTTP is refused unhandled,
answered with a 400 and raised, so that the session records it.

``message`` and ``head`` read and write heads, ``framing`` bodies; ``link`` is a peer through TLS or not; ``upstream``,
``exchange`` and ``serve`` are the broker's two roles and what ties them together.
"""
