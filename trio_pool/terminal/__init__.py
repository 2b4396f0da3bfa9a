"""The commands for people at a terminal who have a pooler running, this one or PgBouncer.

client       the admin console of a pooler, spoken to by `protocol`
layout       tables and the screen of `top` as text; pure
top          `trio-pool top`: how a pooler is doing, live
console      `trio-pool console`: a small shell over the console's commands
password     `trio-pool hash`: what to write into a user list
flags        their flags
completion   `trio-pool completion`: the command line for bash, zsh and fish; pure
"""
