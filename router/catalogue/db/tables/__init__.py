"""Tables, by wing. Rows leave the catalogue as the frozen records of the module of their noun.

A foreign key that leads a unique index has no second index of its own.
"""

from peewee import Model

from router.catalogue.db.tables import exams, images, node, outcomes, queue

# A table stands after those that it refers to.
TABLES: tuple[type[Model], ...] = (*node.TABLES, *images.TABLES, *exams.TABLES, *queue.TABLES, *outcomes.TABLES)
