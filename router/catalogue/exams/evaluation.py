"""Requests to evaluate exams again, by what they have in common."""

from collections.abc import Collection
from datetime import datetime

from peewee import Expression, Select

from router.catalogue.db.engine import Engine
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Exam, ExamStudy

_EVALUATE = Statement("UPDATE exam SET touched = touched + 1, check_at = ? WHERE id = ?", Exam.check_at, Exam.id)


def exams_of(study_uids: Collection[str] | Select) -> Select:
    """A query of the exams that have one of these studies."""
    return ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid.in_(study_uids))


def evaluate(engine: Engine, which: Expression, now: datetime) -> None:
    """Have the exams evaluated that meet the condition. Inside a transaction."""
    # of all hospitals: the condition decides
    engine.run(Exam.update(touched=Exam.touched + 1, check_at=now).where(which))


def evaluate_one(engine: Engine, exam: int, now: datetime) -> None:
    """Have one exam evaluated. Inside a transaction."""
    _EVALUATE.run(engine, now, exam)
