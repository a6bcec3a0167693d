"""Where one clause of speech ends and the next begins.

The rule behind the rules: what belongs under an if, a not or a doubt is never cut away from it.
"""

import re

from examples.scribe import lexicon
from examples.scribe.grammar import (
    ADVERBS,
    AUXILIARIES,
    BEGUN,
    MORE_VERBS,
    NOMINATIVE,
    VERBS,
    has_verb,
)
from examples.scribe.words import Word, listed

SENTENCE_ADVERBS = listed(
    "hopefully unfortunately luckily fortunately however maybe currently afterwards initially sometimes also then "
    "again obviously recently"
)

GOVERNORS = listed(
    "that if when because since as while where whether what who whom which how why until till before after than "
    "think thinks know say says said hope believe guess suppose feel sure told like the a an of to with for though "
    "although unless once whenever wish glad see worried tell everything anything something all ever "
    "thought felt feeling heard figured fact suspect wonder afraid noticed notice about from in on at by thing things over under around above below into onto through behind between against near across and or but what's ensure is "
    "make so means mean whatever just medications medication medicines recommend suggest last are was were next "
    "not n't too very long"
)

JOINERS = {"and", "but", "so", "then", "because", "although", "though", "however", "plus"}


def parts(words: list[Word]) -> list[list[Word]]:
    """Cut where a new subject and verb begin after a clause that already has its own."""
    parts: list[list[Word]] = []
    current: list[Word] = []
    for index, word in enumerate(words):
        if current and _begins_clause(words, index, current):
            taken = _opening(current)
            parts.append(current[: len(current) - taken])
            current = current[len(current) - taken :]
        current.append(word)
    if current:
        parts.append(current)
    return parts


def _left_hanging(said: list[str]) -> bool:
    for place in range(len(said) - 1, -1, -1):
        if (
            said[place] in {"that", "because"}
            and place
            and said[place - 1]
            in {"told", "said", "says", "think", "mentioned", "explained", "us", "me"}
        ):
            return not has_verb(said[place + 1 :])
    return False


TURNS = re.compile(
    r" (?:(?:and|but) )?(?:then )?(?:at (?:this|that|one) point|then underneath|(?:probably |maybe )?(?:at|in) the (?:beginning|start|end)|in the meantime|as far as (?:your|the|my) (?:\w+ ){1,3}(?:is|are) concerned)$"
)


def _opening(current: list[Word]) -> int:
    """How many of the last words open the next clause: "hopefully with their help | we can"."""
    said = [w.low for w in current if w.kind == "word"]
    since = (
        len(current) - max((i for i, w in enumerate(current) if w.kind == "pause"), default=-1) - 1
    )
    if (
        0 < since <= 2
        and since < len(current)
        and {w.low for w in current[-since:]}
        <= {"today", "now", "tonight", "currently", "this", "time", "morning", "yesterday"}
    ):
        return since
    turning = TURNS.search(" ".join(said))
    if turning:
        count = len(turning.group(0).split())
        return (
            count if count < len(current) and all(w.kind == "word" for w in current[-count:]) else 0
        )
    for back in range(1, min(7, len(current))):
        word = current[-back]
        if word.kind != "word" or word.low in VERBS - {"help"}:
            return 0
        if word.low in {"hopefully", "unfortunately", "luckily", "eventually"}:
            return back
    return 0


def _begins_clause(words: list[Word], index: int, current: list[Word]) -> bool:
    word, previous = words[index], words[index - 1]
    said = [w.low for w in current if w.kind == "word"]
    if word.kind != "word" or not said:
        return False
    following = [w.low for w in words[index + 1 : index + 6] if w.kind == "word"]
    ahead = [word.low, *following]
    further = " ".join(w.low for w in words[index : index + 10] if w.kind == "word")
    complete = len(said) >= 3 and has_verb(said)
    if word.low == "okay":
        # "passing urine OK" says how; "it has stopped, OK" only goes on.
        return previous.kind != "word" or previous.low not in SAID_OF
    if word.low in {"anyway", "hey"}:
        return True
    if word.low in {"now", "well"} and complete and following:
        return (
            _is_subject(following)
            or _is_question(following)
            or following[0] in {"your", "on", "for", "the", "let's", "if", "in", "as", "go"}
        ) and previous.low not in {
            "how", "right", "as", "until", "till", "by", "doing", "for", "very", "pretty", "before", "from", "feel",
        }  # fmt: skip
    if word.low in JOINERS:
        return _joiner_begins(ahead=ahead, said=said, previous=previous, complete=complete)
    if (
        word.low in SENTENCE_ADVERBS
        and complete
        and _is_subject(following)
        and previous.kind == "word"
    ):
        return previous.low not in GOVERNORS and _waits_for_nothing(said)
    if previous.kind == "gap" and _is_subject(ahead) and said[-1] not in GOVERNORS | JOINERS:
        return True  # what was not heard belongs to neither
    unheard = previous.kind == "pause" and index >= 2 and words[index - 2].kind == "gap"
    if unheard and word.low in {"i", "i'm", "i've", "i'd"} and _is_subject(ahead):
        return True  # begun again after what was not heard
    if _left_hanging(said):
        return False  # "that sometimes people with this, they have": they are those people, not the patient
    if "watch for" in " ".join(said) or "look out for" in " ".join(said):
        return False  # a list of what might come
    if (
        previous.kind == "pause"
        and len(said) >= 2
        and _is_question(ahead)
        and not _is_question([previous.low, *ahead])
    ):
        return said[-1] not in GOVERNORS and _waits_for_nothing(said)
    if not complete or previous.low in SENTENCE_ADVERBS | JOINERS:
        return False
    if (
        previous.low in {"time", "way", "day", "moment"}
        and said[-2:-1]
        and said[-2] in {"every", "each", "any", "the", "last", "next", "first"}
    ):
        return False
    if ahead[:2] == ["i", "think"] and (
        ahead[2:3] in (["that's"], ["it's"], ["maybe"], ["actually"]) or len(ahead) == 2
    ):
        return False  # "longer than three days, I think"
    if re.match(r"as far as (?:your|the|my)\b", " ".join(ahead)) and previous.kind == "word":
        return len(said) >= 4
    if re.match(
        r"on (?:your |the )?\w+ exam\b|(?:looks|sounds) like (?:your|you|based|it|this|that|the|he|she)\b",
        " ".join(ahead),
    ):
        return previous.kind == "word" and previous.low not in GOVERNORS | {
            "it",
            "this",
            "which",
            "also",
            "just",
        }
    if (
        re.match(r"(?:call|ring) (?:me|us) if\b|weigh yourself", " ".join(ahead))
        and previous.kind == "word"
    ):
        return len(said) >= 3 and previous.low not in {"to", "and", "or", "please", "then", "just"}
    if RESULT.match(further) and previous.kind == "word" and len(said) >= 3:
        return previous.low not in GOVERNORS | {"at", "see", "look", "review", "reviewed"}
    if TELLS_TO.match(" ".join(ahead)) and previous.low not in GOVERNORS | AUXILIARIES | {
        "definitely",
        "please",
    }:
        return len(said) >= 4 and previous.kind == "word" and _waits_for_nothing(said)
    if (
        re.match(
            r"does that sound|is that okay|do you have any|any other questions|any questions",
            " ".join(ahead),
        )
        and len(said) >= 4
    ):
        return True
    if (
        _is_question(ahead)
        and previous.low not in QUESTION_GOVERNORS
        and not previous.low.endswith("n't")
    ):
        return _waits_for_nothing(said)
    if (
        ahead[0] in {"it", "you", "that", "this", "there"}
        and previous.low in (VERBS | MORE_VERBS) - AUXILIARIES
        and previous.kind == "word"
    ):
        return False  # "they called it": an object
    if _is_question([previous.low, *ahead]):
        return False  # "have | you had": the subject follows its verb
    announced = re.match(
        r"(?:i'm|we're) (?:also )?(?:going|gonna)|i(?:'d like| want| would like) (?:you )?to",
        " ".join(ahead),
    )
    if "if" in said and announced and not _begun_twice(said, len(said) - said[::-1].index("if")):
        return False
    if announced and len(said) >= 4 and previous.kind == "word":
        pointing = (
            previous.low == "that"
            and len(said) > 1
            and said[-2] in {"in", "on", "about", "with", "for", "of"}
        )
        return pointing or previous.low not in {
            "that",
            "if",
            "because",
            "think",
            "when",
            "what",
            "and",
            "which",
            "where",
        }
    if (
        ahead[0] == "for"
        and len(ahead) > 2
        and ahead[1] in {"your", "the"}
        and previous.kind == "word"
    ):
        later = [w.low for w in words[index + 3 : index + 12] if w.kind == "word"]
        spoken_of = any(low in lexicon.CONDITIONS for low in ahead[2:5])
        return (
            len(said) >= 4
            and spoken_of
            and any(_is_subject(later[place:]) for place in range(len(later)))
        )
    if previous.kind == "pause":
        return len(said) >= 5 and _is_subject(ahead) and _waits_for_nothing(said)
    return (
        len(said) >= 4
        and previous.kind == "word"
        and previous.low not in GOVERNORS
        and not (ahead[0] in {"your", "my"} and previous.low in VERBS)
        and (_is_subject(ahead) or ahead[:3] == ["when", "you", "came"])
        and _waits_for_nothing(said)
    )


def _joiner_begins(*, ahead: list[str], said: list[str], previous: Word, complete: bool) -> bool:
    word, *following = ahead
    if (
        word == "so"
        and following
        and following[0] in NOMINATIVE | {"i'm", "i've"}
        and len(said) >= 2
        and previous.low not in {"or", "and", "think"}
    ):
        complete = True
    if not complete or not following:
        return False
    if word == "because":
        return len(said) > 28
    if word == "and" and following[0] in {"it", "it's"} and len(said) <= 12:
        return False  # what "it" is was said just before
    if word in {"and", "or", "but"} and not _waits_for_nothing(said):
        return False  # "if you vomit and you cannot drink": both belong to the if
    if (
        word in {"and", "or"}
        and len(said) <= 24
        and set(said[1:]) & CONDITIONAL
        and said[0] not in CONDITIONAL
    ):
        return False  # "not sure if it is the season and I am getting a cold": one doubt, not two facts
    if word == "then" and not _waits_for_nothing(said):
        return False
    if word == "so" and (previous.low in {"think", "or", "guess", "hope", "said", "do", "just"}):
        return False
    after = following
    while after and after[0] in {"so", "then", "also", "now", "when", "if", *SENTENCE_ADVERBS}:
        after = after[1:]
    if (
        _is_subject(after)
        or _is_question(after)
        or after[:3] == ["as", "far", "as"]
        or (after and after[0] in {"for", "let's", "prior", "based", "what"})
    ):
        return not (word == "and" and following[0] in {"your", "my", "for"} and len(said) < 5)
    if following[0] == "on" and len(following) > 1 and following[1] in {"your", "exam", "physical"}:
        return True
    return previous.kind == "pause" and len(said) > 14 and word != "so"


RESULT = re.compile(
    r"the (?:x-?rays?|mri|ct|ultrasound|scan|echo\w*|ekg|ecg|blood tests?|labs?)\b(?: of (?:your|the) (?:\w+ ){0,2}?\w+)? (?:shows?|showed|is|are|looks?|reveals)\b"
)
TELLS_TO = re.compile(
    r"(?:definitely )?(?:continue (?:the|your|with|to)|weigh yourself|call me if|call us if|get a|stay (?:off|on)|watch(?:ing)? the|listen to your|"
    r"make sure (?:you|that)|come back|take your medication)\b"
)

SAID_OF = listed(
    "am i'm is it's that's are you're they're we're was were be been 's all urine working drinking eating sleeping going "
    "feel feels feeling felt otherwise doing generally usually quite normally bowels appetite breathing walking they're"
)

CONDITIONAL = {"if", "whether", "unless", "until", "when"}

QUESTION_GOVERNORS = (GOVERNORS - {"medication", "medications"}) | listed(
    "i you we they it he she there do did be been have had having get getting feel take without need notice"
)

QUESTION = re.compile(
    r"(?:do|did|have|are|were|can|could|would|will|does|is|was|has|should)(?:n't)? "
    r"(?:you|your|it|there|that|this|they|he|she|anyone|anybody|any) .*"
    r"|(?:what|how) (?:about|is|are|was|have|do|does|did|part|kind|long|often|many|much) .*"
    r"|(?:how's|what's|where's|who's) (?:your|the|that|this) .*|(?:who|where|when|why) (?:do|does|did|is|are|have|has) .*|does that sound .*"
    r"|any (?:other|problems?|pain|questions|family|history|allergies|surgeries) ?.*"
)


def _is_question(lows: list[str]) -> bool:
    return bool(QUESTION.fullmatch(" ".join(lows)))


def _waits_for_nothing(said: list[str]) -> bool:
    """A clause that opened with if or when still waits for its other half."""
    for place in range(len(said) - 1, -1, -1):
        if said[place] in {
            "if",
            "when",
            "because",
            "since",
            "although",
            "once",
            "as",
            "while",
            "after",
            "before",
            "whenever",
        }:
            fronted = place == 0 or said[place - 1] in {
                "that",
                "and",
                "but",
                "so",
                "say",
                "think",
                "or",
                "then",
                "because",
            }
            if not fronted:
                return True
            return _begun_twice(said, place + 1)
    return True


def _begun_twice(said: list[str], start: int) -> bool:
    return (
        sum(
            low in NOMINATIVE | {"you", "it", "there"} or bool(BEGUN.fullmatch(low))
            for low in said[start:]
        )
        >= 2
    )


def _is_subject(lows: list[str]) -> bool:
    if not lows:
        return False
    if BEGUN.fullmatch(lows[0]):
        return True
    rest = lows[1:]
    while rest and rest[0] in ADVERBS:
        rest = rest[1:]
    if not rest:
        return False
    verb = rest[0] in VERBS or rest[0].endswith("n't")
    if lows[0] in NOMINATIVE | {"you", "it", "there"}:
        return verb
    if lows[0] in {"that's", "that"}:
        tail = " ".join(lows[1:4])
        if lows[0] == "that's":
            return bool(
                re.match(
                    r"(?:good|great|fine|it\b|why|what|because|going|how|all\b|really|just|also)",
                    tail,
                )
            )
        return bool(re.match(r"(?:should|sounds|seems|will|would|could|can|means)", tail))
    if lows[0] in {"your", "my"}:
        return not set(lows[1:4]) & {
            "it",
            "which",
            "that",
            "who",
            "you",
            "i",
            "we",
            "they",
        } and any(
            low
            in {
                "is",
                "are",
                "was",
                "were",
                "look",
                "looks",
                "feels",
                "have",
                "has",
                "show",
                "shows",
                "sound",
                "sounds",
            }
            for low in lows[2:5]
        )
    if lows[0] in {
        "lungs",
        "abdomen",
        "belly",
        "pupils",
        "respirations",
        "pulse",
        "extremities",
        "reflexes",
    }:
        return lows[1] in {"is", "are", "look", "looks", "sound", "sounds"}
    return lows[0] == "let" and rest[0] in {"me", "us"}
