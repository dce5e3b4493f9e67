"""The HTTP/1.1 server loop of every service: a thread for each connection, bodies in large pieces, WSGI inside."""
