"""Words that carry a sentence: subjects, auxiliaries, verbs."""

import re

from examples.scribe.words import listed

NOMINATIVE = listed("i we he she they")

BEGUN = re.compile(r"(?:i|you|we|he|she|they|it|there|this)'(?:m|re|ve|s|ll|d)|let's")

AUXILIARIES = listed(
    "am is are was were have has had do does did can could will would should may might must "
    "isn't aren't wasn't weren't haven't hasn't hadn't don't doesn't didn't can't cannot couldn't won't wouldn't "
    "shouldn't"
)

MORE_VERBS = listed(
    """ache adjust gain bump advise affect agree aim allow answer apologise apologize appear apply appreciate arrange arrive assess assist assume await bathe bear beat become begin begun bet blame bleed block blow book bother bounce bring bruise brush burn burp calm carry cause change chase cheat chew choke choose clean clear climb close collapse collect comb combine come compare complain complete concern confirm consider contact control cope cost count cover crash cry cycle deal decrease deliver deny depend develop diagnose dial die disagree discuss dislike do drag dress drip drop dry dust earn elevate encourage end ensure examine exclude explain fail faint fall fight fill fit fix flare follow garden grab grind grow guess handle hate head heal hike hold hop hurry imagine improve include inform inhale inject inquire insert intend invite itch jog join jump knock lack land laugh lay lead lean learn leave limp listen lower manage matter measure medicate mention mind mix mow natter nod note observe open outline overdo overeat own paint panic park pass pay pee perform pick plan point pop practise pray prefer prepare press pretend prevent proceed produce promise protect provide pull push rate react receive recheck reckon redo reduce reflect refuse regret relax rely remain remove rent repeat replace report rescue reserve respond resume retire return ride ring rinse rise rotate rub save scan scare schedule scratch scrub search sell serve set settle shake shall share shave shiver shop shower shut sign sing sip skip slow smoke snack sneeze snore soak sob soothe sort spin spit split spoke spot sprain spray spread squeeze stack stay step stick sting stoop store strain stumble suck sum support suppose suspect swallow swap switch taper teach tear tell tense test thank throw tidy tighten titrate touch track train trust turn type understand undo unload upset urinate visit vomit warm warn wash waste wean weigh wheeze whistle win wipe wish worsen wrap yawn yell"""
)

VERBS = AUXILIARIES | listed(
    "accept add admit agree ask asked ate avoid began believe bend bent bought break breathe bring broke brought "
    "buy call called came care carry catch caught change changed check checked come continue cook cough coughed "
    "cut decided describe drank drink drive drove eat elevate enjoy expect fainted feel flex extend press fell felt find finished "
    "forget forgot found gave get give go got guess happen happened hear heard helped helps hit hope hurt hurts "
    "ice identify increase injured keep kept knew know landed lay left lie listen lift lifted like live lives look looked "
    "looks lose lost made make manage miss missed monitor moved need needed notice noticed order ordered passed "
    "play plan prefer prescribe put quit ran reach read realise realised realized recognise recognize recommend "
    "record refer remember rest reviewed run said saw says see seem seems send sent show showed shows sit sleep "
    "slept slipped smell smoke snore sound sounds speak spent stand start started stay stop stopped stretch "
    "struggle studied study suffer suggest suspect sweat swelled swim take takes talked taught tend think thought "
    "told took touch travel tried tripped try turned twisted use used vomited wait wake walk walked want wanted "
    "was watch wear weigh went wonder woke work worked works worry wore write appreciate demonstrates reveals "
    "revealed gets goes gives comes runs running"
)

ADVERBS = listed(
    "also just still really actually usually always never only definitely certainly probably first rarely often "
    "sometimes even currently already generally normally kinda sorta barely hardly ever now then"
)


def has_verb(lows: list[str]) -> bool:
    return any(low in VERBS or BEGUN.fullmatch(low) or low.endswith(("n't", "ed")) for low in lows)
