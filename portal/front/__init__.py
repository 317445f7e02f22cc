"""The web server: HTTP/1.1 is read in an event loop, and a thread is taken only when a request is all there.

`python -m portal.front`; why it is our own: docs/adr/0011-a-front-of-our-own.md.
"""
