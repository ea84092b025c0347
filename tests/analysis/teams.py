"""Texts of two teams, and classifiers that tell them apart."""

from searchkit.analysis import classifying
from searchkit.analysis.classifying import FromCollection, FromFile, Wanted

LEAVE = "Parental leave lasts fourteen weeks at full pay, case {}"
INVOICE = "The supplier's invoice was settled late by our bank, case {}"


def train(library, labelled, name="teams", **wanted):
    return classifying.train(library, name, FromFile(path=labelled), wanted=Wanted(**wanted))


def train_stored(library, name="teams", field="team", **wanted):
    return classifying.train(library, name, FromCollection(field=field), wanted=Wanted(**wanted))
