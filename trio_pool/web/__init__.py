"""What a pool shows over HTTP: metrics, health, a dashboard (settings `http_...`).

exposition   Prometheus' text format; pure
figures      the pool's figures as metrics, by the names of pgbouncer_exporter and by our own
clock        the clock that leases and waits are timed by, and how late the loop is
http         one connection from a browser or a scraper: HTTP/1.1 by h11, within limits
routes       which path shows what
dashboard    the pages for people (files in static/), who may see them, and their orders
live         the picture that they draw, once a second
logins       who has logged in there
service      where it listens
extra        whether what it needs is installed

Needs h11 (`pip install "trio-pool[http]"`), which is imported by `http` alone; this
package is imported only where `http_listen_addr` is set.
"""
