"""Engines of the database, its tables and schema, copies of it. The door to peewee."""
