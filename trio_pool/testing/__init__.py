"""What the pytest plugin (trio_pool.pytest_plugin) is made of; imported when a test needs it.

servers     which PostgreSQL: given, in a container, of this machine
containers  PostgreSQL in a container, where Docker answers
pools       starting a pool in front of it
watch       what one test left behind, and what it depended on
"""
