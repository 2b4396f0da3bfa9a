"""An index that is built outside of any transaction, and something to sell."""

from __future__ import annotations

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


def stock_up(apps, schema_editor) -> None:
    items = apps.get_model("django_shop", "Item").objects.using(schema_editor.connection.alias)
    items.create(name="umbrella", stock=100)


class Migration(migrations.Migration):
    atomic = False
    dependencies = (("django_shop", "0001_initial"),)
    operations = (
        AddIndexConcurrently(
            "order", models.Index(fields=["customer"], name="django_shop_by_customer")
        ),
        migrations.RunPython(stock_up, migrations.RunPython.noop),
    )
