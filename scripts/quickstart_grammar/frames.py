"""Words that join two clauses: conjunctions, verbs of saying and asking, unreal conditions."""

from __future__ import annotations

from quickstart_grammar.verbs import verb

# English and German conjunction, tenses of main and subordinate clause that go together, weight.
SUBORDINATES = (
    (
        14,
        ("because", "weil"),
        (
            ("past", "past"),
            ("past", "pluperfect"),
            ("present", "present"),
            ("perfect", "present"),
            ("future", "present"),
            ("present", "past"),
            ("past", "modal past"),
        ),
    ),
    (4, ("since", "da"), (("past", "past"), ("present", "present"), ("past", "pluperfect"))),
    (
        10,
        ("although", "obwohl"),
        (
            ("past", "past"),
            ("present", "present"),
            ("past", "pluperfect"),
            ("future", "present"),
            ("modal past", "past"),
        ),
    ),
    (8, ("when", "als"), (("past", "past"), ("modal past", "past"))),
    (5, ("when", "wenn"), (("present", "present"), ("future", "present"))),
    (7, ("if", "wenn"), (("future", "present"), ("modal", "present"), ("present", "present"))),
    (4, ("while", "während"), (("past", "past"), ("present", "present"))),
    (5, ("before", "bevor"), (("past", "past"), ("future", "present"))),
    (5, ("after", "nachdem"), (("past", "pluperfect"),)),
    (3, ("until", "bis"), (("past", "past"), ("future", "present"))),
    (3, ("so that", "damit"), (("past", "can past"), ("present", "can"), ("future", "can"))),
    (2, ("unless", "es sei denn , dass"), (("future", "present"),)),
)
REPORT = (
    verb("say/said/said", "sagen"),
    verb("think/thought/thought", "glauben"),
    verb("know/knew/known", "wissen wusste gewusst"),
    verb("believe", "glauben"),
    verb("hope", "hoffen"),
    verb("hear/heard/heard", "hören"),
    verb("notice", "bemerken"),
    verb("claim", "behaupten"),
    verb("fear", "befürchten"),
    verb("find/found/found out", "heraus|finden fand gefunden"),
    verb("announce", "an|kündigen"),
    verb("suspect", "vermuten"),
    verb("regret", "bedauern"),
    verb("admit/admitted/admitted", "zu|geben gibt gab gegeben"),
)
WONDER = (
    verb("know/knew/known", "wissen wusste gewusst"),
    verb("wonder", "sich fragen"),
    verb("ask", "fragen"),
    verb("find/found/found out", "heraus|finden fand gefunden"),
)
SPOKEN = ("say", "hear", "notice", "claim", "find", "announce", "admit")
THAT_OPTIONAL = ("say", "think", "know", "believe", "hope")
QUESTION_WORDS = (
    ("whether", "ob"),
    ("why", "warum"),
    ("when", "wann"),
    ("where", "wo"),
    ("how", "wie"),
    ("with whom", "mit wem"),
)
COMMENTS = (
    ("important", "wichtig"),
    ("strange", "seltsam"),
    ("a pity", "schade"),
    ("true", "wahr"),
    ("surprising", "überraschend"),
    ("possible", "möglich"),
)
POSSESSIONS = (
    ("more time", "mehr Zeit"),
    ("more money", "mehr Geld"),
    ("a bigger flat", "eine größere Wohnung"),
    ("less work", "weniger Arbeit"),
    ("a faster computer", "einen schnelleren Computer"),
    ("more patience", "mehr Geduld"),
)
CONDITIONS = (
    ("rich", "reich"),
    ("younger", "jünger"),
    ("less tired", "weniger müde"),
    ("taller", "größer"),
    ("more patient", "geduldiger"),
    ("at home", "zu Hause"),
)
