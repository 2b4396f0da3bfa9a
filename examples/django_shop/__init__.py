"""A Django application for `django_application.py`: a shop with items and orders."""
