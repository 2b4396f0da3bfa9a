"""What the shop sells, and who bought it."""

from __future__ import annotations

from django.db import models


class Item(models.Model):
    name = models.CharField(max_length=100, unique=True)
    stock = models.PositiveIntegerField()


class Order(models.Model):
    item = models.ForeignKey(Item, on_delete=models.PROTECT, related_name="orders")
    customer = models.CharField(max_length=100)
    placed = models.DateTimeField(auto_now_add=True)
    details = models.JSONField(default=dict)

    class Meta:
        indexes = (models.Index(fields=["customer"], name="django_shop_by_customer"),)
