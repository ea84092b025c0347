"""Sentences made by a small grammar, whose topic, sentiment, time and form are known: no model wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks._mini_labels import TwoLabelled
from benchmarks._mini_wording import grouping

TOPICS: Mapping[str, Sequence[str]] = {
    "cooking": ("the soup", "the bread recipe", "the oven", "the frying pan", "the dinner", "the sauce"),
    "gardening": ("the roses", "the lawn", "the compost heap", "the greenhouse", "the tomato plants"),
    "football": ("the goalkeeper", "the league match", "the penalty", "the coach's line-up", "the stadium"),
    "cycling": ("the mountain bike", "the brakes of my bicycle", "the bike lane", "the racing saddle"),
    "banking": ("my savings account", "the loan", "the credit card", "the transfer fee", "the mortgage"),
    "air travel": ("the flight", "the boarding gate", "the airline", "the luggage desk", "the runway"),
    "music": ("the concert", "the guitar solo", "the album", "the orchestra", "the singer's voice"),
    "school": ("the maths lesson", "the homework", "the exam", "the headteacher", "the classroom"),
    "weather": ("the storm", "the heat wave", "the rain forecast", "the snowfall", "the fog"),
    "phones": ("the phone's battery", "the touch screen", "the phone's camera", "the charger", "the app"),
    "hospitals": ("the surgeon", "the hospital ward", "the blood test", "the nurse", "the operation"),
    "cars": ("the engine", "the gearbox", "the car's tyres", "the garage", "the electric car"),
    "railways": ("the train", "the railway station", "the sleeping car", "the ticket inspector"),
    "hotels": ("the hotel room", "the reception desk", "the breakfast buffet", "the minibar"),
    "clothes": ("the jacket", "the wool sweater", "the running shoes", "the dress", "the tailor"),
    "pets": ("the puppy", "our cat", "the vet", "the rabbit's cage", "the dog food"),
    "politics": ("the election", "the minister", "the parliament's vote", "the campaign", "the new party"),
    "taxes": ("the tax return", "the tax office", "the VAT rate", "the refund of taxes"),
    "astronomy": ("the telescope", "the comet", "the lunar eclipse", "the space probe", "the observatory"),
    "chemistry": ("the acid", "the catalyst", "the lab experiment", "the polymer", "the reaction"),
    "furniture": ("the sofa", "the bookshelf", "the dining table", "the mattress", "the wardrobe"),
    "software": ("the update", "the login page", "the database server", "the spreadsheet", "the plug-in"),
    "libraries": ("the novel", "the reading room", "the librarian", "the book loan", "the catalogue"),
    "farming": ("the harvest", "the tractor", "the cows", "the wheat field", "the barn"),
}
FEELINGS: Mapping[str, Sequence[str]] = {
    "positive": ("wonderful", "excellent", "a real pleasure", "better than I had hoped", "superb",
                 "worth every penny", "a delight", "brilliant"),
    "negative": ("terrible", "a disaster", "worse than I had feared", "awful", "a complete waste of money",
                 "disappointing", "dreadful", "a nightmare"),
    "neutral": ("as described", "nothing special", "about what I expected",
                "on the second page of the report", "the same as before", "neither here nor there"),
}  # fmt: skip
TIMES: Mapping[str, Mapping[str, Sequence[str]]] = {  # by sentence form
    "past": {
        "statement": ("Last week {t} was {f}.", "I thought {t} had been {f}.",
                      "Yesterday {t} turned out {f}."),
        "question": ("Was {t} {f} last year?", "Did anyone else find that {t} was {f} back then?"),
        "request": ("Please tell me whether {t} was {f} yesterday.", "Send me a note on why {t} was {f}."),
    },
    "present": {
        "statement": ("At the moment {t} is {f}.", "I think {t} is {f}.", "Right now {t} is {f}."),
        "question": ("Is {t} {f} today?", "Does anyone else find that {t} is {f}?"),
        "request": ("Please look at {t}, which is {f}.", "Explain to me why {t} is {f}."),
    },
    "future": {
        "statement": ("Next month {t} will be {f}.", "I expect that {t} is going to be {f}."),
        "question": ("Will {t} be {f} next time?", "Is {t} going to be {f} tomorrow?"),
        "request": ("Please let me know if {t} will be {f}.",
                    "Make sure that tomorrow {t} is going to be {f}."),
    },
}  # fmt: skip
OPENINGS = ("", "", "", "Well, ", "To be honest, ", "As for us: ", "My sister says: ", "For the record: ")
SENTENCES = 3_000
KINDS = ("sentence", "text", "message", "comment", "piece of feedback")


def made_sentences(seed: int) -> list[TwoLabelled]:
    """The same sentences under pairs of labellings, each against the topic."""
    random = np.random.default_rng(seed)
    rows: dict[str, tuple[str, str, str, str]] = {}

    def one(values: Sequence[str]) -> str:
        return values[int(random.integers(len(values)))]

    while len(rows) < SENTENCES:
        topic, feeling, time = one(list(TOPICS)), one(list(FEELINGS)), one(list(TIMES))
        form = one(list(TIMES[time]))
        frame = one(TIMES[time][form])
        sentence = frame.format(t=one(TOPICS[topic]), f=one(FEELINGS[feeling]))
        opening = one(OPENINGS)
        made = opening + (sentence[0].lower() + sentence[1:] if opening and sentence[0] != "I" else sentence)
        rows[made] = (topic, feeling, time, form)
    texts = list(rows)
    labels = {
        name: [rows[text][at] for text in texts]
        for at, name in enumerate(("topic", "feeling", "time", "form"))
    }
    wordings = {
        "topic": grouping(KINDS, ("topic", "subject", "theme", "domain", "what it is about")),
        "feeling": grouping(KINDS, ("sentiment", "feeling", "opinion", "mood", "attitude")),
        "time": grouping(KINDS, ("time", "tense", "time it speaks of", "grammatical tense")),
        "form": grouping(KINDS, ("form", "speech act", "kind of sentence", "sentence type")),
    }
    return [
        TwoLabelled(
            name=f"made_{other}",
            texts=texts,
            labels={"topic": labels["topic"], other: labels[other]},
            wordings={"topic": wordings["topic"], other: wordings[other]},
        )
        for other in ("feeling", "time", "form")
    ]
