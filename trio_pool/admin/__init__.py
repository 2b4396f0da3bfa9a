"""What the console's commands do to a running pool: the shell around `trio_pool.console`.

desk         one client of the console: its login, its conversation, its goodbye
operations   PAUSE, RESUME, RELOAD and the rest, and what of it lasts
reload       a new configuration in the place of the old one, all of it or nothing
signals      the same from outside: HUP, INT, TERM, QUIT, USR1, USR2
views        the tables of databases, users, settings and states
sockets      the tables of pools, clients and servers
statistics   the tables of figures, and the marks that averages are made of
"""
