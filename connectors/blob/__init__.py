"""Azure Blob Storage over HTTP: its REST operations and the Data Lake paths, decided, masked and recorded.

``address`` reads where a request leads, ``operations`` what it does (by the table in ``reference``), ``proof`` whether
the client may ask at all; ``signing`` makes the upstream's request of it. What is not understood is not passed on.
"""
