"""The tables of the shop."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models

KEY = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    initial = True
    operations = (
        migrations.CreateModel(
            "Item",
            [
                ("id", KEY),
                ("name", models.CharField(max_length=100, unique=True)),
                ("stock", models.PositiveIntegerField()),
            ],
        ),
        migrations.CreateModel(
            "Order",
            [
                ("id", KEY.clone()),
                ("customer", models.CharField(max_length=100)),
                ("placed", models.DateTimeField(auto_now_add=True)),
                ("details", models.JSONField(default=dict)),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="orders",
                        to="django_shop.item",
                    ),
                ),
            ],
        ),
    )
