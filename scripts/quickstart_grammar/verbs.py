"""Verbs with both languages' forms and their frames.

One entry per line: `English ; German ; frame`. English is `base[/past/participle]` and the rest of the pattern, in
which {a}, {d} and {p} stand for the accusative, dative and prepositional object and {r} for the subject's pronoun; a
word in [] is a particle that a pronoun precedes. German is the infinitive with `|` after a separable prefix and, for
strong verbs, [er-form] preterite and participle without the prefix; `s` at the end: perfect with sein; `X~`: a fixed
complement; sich3: a reflexive in the dative. The frame lists slots as key:kinds, the prepositional one as
preposition+case:kinds; `s:kinds` is the subject (people if absent); `!` marks a state (no progressive form, no manner).
`who` means people and kin. The first lines are the more frequent.
"""

from __future__ import annotations

from dataclasses import dataclass

from quickstart_grammar.english import regular_past
from quickstart_grammar.german import GermanVerb, parse_german

ENTRIES = """
buy/bought/bought {a} ; kaufen ; a:small stand hang furniture clothing food vehicle device text
see/saw/seen {a} ; sehen sieht sah gesehen ; a:who animal building vehicle hang !
call {a} ; an|rufen rief gerufen ; a:who
read/read/read {a} ; lesen liest las gelesen ; a:text
help {d} ; helfen hilft half geholfen ; d:who
write/wrote/written {a} ; schreiben schrieb geschrieben ; a:text
visit {a} ; besuchen ; a:who building
give/gave/given {d} {a} ; geben gibt gab gegeben ; d:who a:small clothing text food
show/showed/shown {d} {a} ; zeigen ; d:who a:text building hang small clothing
find/found/found {a} ; finden fand gefunden ; a:small text clothing animal
look for {a} ; suchen ; a:small text clothing who
wait for {p} ; warten ; auf+a:who vehicle text
eat/ate/eaten {a} ; essen isst aß gegessen ; a:food
drink/drank/drunk {a} ; trinken trank getrunken ; a:drink
open {a} ; öffnen ; a:opening
close {a} ; schließen schloss geschlossen ; a:opening
repair {a} ; reparieren ; a:device vehicle
turn [on] {a} ; ein|schalten ; a:device
turn [off] {a} ; aus|schalten ; a:device
invite {a} ; ein|laden lädt lud geladen ; a:who
forget/forgot/forgotten {a} ; vergessen vergisst vergaß vergessen ; a:small text clothing event !
lose/lost/lost {a} ; verlieren verlor verloren ; a:small text clothing !
need {a} ; brauchen ; a:small stand furniture clothing device vehicle !
pick [up] {a} ; ab|holen ; a:who
sell/sold/sold {a} ; verkaufen ; a:small stand hang furniture clothing vehicle building
tell/told/told {d} {a} ; erzählen ; d:who a:=story,fairy_tale,secret
thank {d} ; danken ; d:who
look forward to {p} ; sich freuen ; auf+a:event !
be interested in {p} ; sich interessieren ; für+a:topic building text animal !
remember {p} ; sich erinnern ; an+a:who event text !
talk about {p} ; sprechen spricht sprach gesprochen ; über+a:who event abstract topic
love {a} ; lieben ; a:who animal !
work ; arbeiten ;
sleep/slept/slept ; schlafen schläft schlief geschlafen ;
get/got/got up ; auf|stehen stand gestanden s ;
arrive ; an|kommen kam gekommen s ; s:who vehicle
take/took/taken {a} with {r} ; mit|nehmen nimmt nahm genommen ; a:small clothing text animal
throw/threw/thrown [away] {a} ; weg|werfen wirft warf geworfen ; a:small text clothing food stand
put/put/put [on] {a} ; an|ziehen zog gezogen ; a:clothing
take/took/taken [off] {a} ; aus|ziehen zog gezogen ; a:clothing
try [on] {a} ; an|probieren ; a:clothing
tidy [up] {a} ; auf|räumen ; a:room
clean {a} ; putzen ; a:room
paint {a} ; streichen strich gestrichen ; a:room opening
paint {a} ; malen ; a:=picture,portrait,map,poster,drawing,flag,painting
explain {a} to {d} ; erklären ; a:abstract text d:who
answer {d} ; antworten ; d:who
answer {a} ; beantworten ; a:=question,letter,email
ask {a} ; fragen ; a:who
send/sent/sent {d} {a} ; schicken ; d:who a:text small
lend/lent/lent {d} {a} ; leihen lieh geliehen ; d:who a:small clothing vehicle
bring/brought/brought {d} {a} ; bringen brachte gebracht ; d:who a:food drink text small
recommend {a} to {d} ; empfehlen empfiehlt empfahl empfohlen ; a:text building food d:who
offer {d} {a} ; an|bieten bot geboten ; d:who a:food drink small
read/read/read {a} to {d} ; vor|lesen liest las gelesen ; a:text d:who
return {a} to {d} ; zurück|geben gibt gab gegeben ; a:small text clothing d:who
introduce {a} to {d} ; vor|stellen ; a:who d:who
listen to {d} ; zu|hören ; d:who
listen to {a} ; hören ; a:=concert,lecture,radio,speech
trust {d} ; vertrauen ; d:who !
follow {d} ; folgen s ; d:who animal
congratulate {d} ; gratulieren ; d:who
contradict {d} ; widersprechen widerspricht widersprach widersprochen ; d:who
believe {d} ; glauben ; d:who !
belong to {d} ; gehören ; s:small clothing vehicle building text animal d:who !
prepare {a} ; vor|bereiten ; a:event
take/took/taken part in {p} ; teil|nehmen nimmt nahm genommen ; an+d:event
cancel {a} ; ab|sagen ; a:event
postpone {a} ; verschieben verschob verschoben ; a:event
organise {a} ; organisieren ; a:event
leave/left/left {a} ; verlassen verlässt verließ verlassen ; a:building room nature event
miss {a} ; verpassen ; a:=bus,train,ferry,appointment,lecture !
miss {a} ; vermissen ; a:who !
lock {a} ; ab|schließen schloss geschlossen ; a:=door,car,flat,cupboard,house,suitcase
fill [in] {a} ; aus|füllen ; a:=form
sign {a} ; unterschreiben unterschrieb unterschrieben ; a:=contract,form,letter,petition,will
translate {a} ; übersetzen ; a:text
print [out] {a} ; aus|drucken ; a:text
copy {a} ; ab|schreiben schrieb geschrieben ; a:=text,poem,recipe,list
understand/understood/understood {a} ; verstehen verstand verstanden ; a:text abstract !
solve {a} ; lösen ; a:=problem
accept {a} ; an|nehmen nimmt nahm genommen ; a:=proposal,offer,invitation,plan
reject {a} ; ab|lehnen ; a:=proposal,offer,plan,law,reform,invitation,project,request
discuss {a} ; besprechen bespricht besprach besprochen ; a:abstract text
support {a} ; unterstützen ; a:who =proposal,plan,project,reform
criticise {a} ; kritisieren ; a:who abstract text
praise {a} ; loben ; a:who text
feed/fed/fed {a} ; füttern ; a:animal
water {a} ; gießen goss gegossen ; a:plant
plant {a} ; pflanzen ; a:plant
cut/cut/cut [down] {a} ; fällen ; a:=tree,oak,palm_tree,fir_tree
stroke {a} ; streicheln ; a:animal
eat/ate/eaten {a} ; fressen frisst fraß gefressen ; s:animal a:food
bite/bit/bitten {a} ; beißen biss gebissen ; s:animal a:person
wash {a} ; waschen wäscht wusch gewaschen ; a:clothing vehicle
iron {a} ; bügeln ; a:clothing
wear/wore/worn {a} ; tragen trägt trug getragen ; a:clothing
pack {a} ; packen ; a:=suitcase
unpack {a} ; aus|packen ; a:=suitcase,parcel,basket
carry {a} ; tragen trägt trug getragen ; a:stand
bake {a} ; backen backt backte gebacken ; a:=cake,bread,pizza,roll,biscuit
cook {a} ; kochen ; a:=soup,potato,rice,egg,dumpling
order {a} ; bestellen ; a:food drink
pay/paid/paid {a} ; bezahlen ; a:=invoice
rent {a} ; mieten ; a:=flat,house,car,boat,office,villa
rent [out] {a} ; vermieten ; a:=flat,house,villa,garage
build/built/built {a} ; bauen ; a:building
renovate {a} ; renovieren ; a:building room
use {a} ; benutzen ; a:device vehicle small
examine {a} ; untersuchen ; a:who animal
treat {a} ; behandeln ; a:person animal
arrest {a} ; verhaften ; a:person
observe {a} ; beobachten ; a:animal person
recognise {a} ; erkennen erkannte erkannt ; a:who building !
photograph {a} ; fotografieren ; a:animal building plant person
greet {a} ; begrüßen ; a:who
hug {a} ; umarmen umarmte umarmt ; a:who
kiss {a} ; küssen ; a:kin
marry {a} ; heiraten ; a:person !
wake/woke/woken {a} ; wecken ; a:who
save {a} ; retten ; a:who animal
disturb {a} ; stören ; a:who event
convince {a} ; überzeugen ; a:who
surprise {a} ; überraschen ; a:who
admire {a} ; bewundern ; a:who hang building !
avoid {a} ; vermeiden vermied vermieden ; a:=mistake,dispute,accident,danger
hide/hid/hidden {a} ; verstecken ; a:small text food
steal/stole/stolen {a} ; stehlen stiehlt stahl gestohlen ; a:small vehicle hang
break/broke/broken {a} ; zerbrechen zerbricht zerbrach zerbrochen ; a:stand
destroy {a} ; zerstören ; a:building device text
win/won/won {a} ; gewinnen gewann gewonnen ; a:=match,competition,election,trial
watch {a} ; sich3 an|sehen sieht sah gesehen ; a:=match,performance,exhibition
describe {a} ; beschreiben beschrieb beschrieben ; a:who building animal
study {a} ; studieren ; a:topic
complain about {p} ; sich beschweren ; über+a:who food event
laugh about {p} ; lachen ; über+a:=story,mistake,idea,speech
think/thought/thought about {p} ; nach|denken dachte gedacht ; über+a:abstract text
think/thought/thought of {p} ; denken dachte gedacht ; an+a:who event
ask for {p} ; bitten bat gebeten ; um+a:=answer,report,list,appointment,recipe,form
take/took/taken care of {p} ; sich kümmern ; um+a:who animal plant
be afraid of {p} ; sich fürchten ; vor+d:animal event !
apologise to {p} ; sich entschuldigen ; bei+d:who
argue with {p} ; streiten stritt gestritten ; mit+d:who
play with {p} ; spielen ; mit+d:animal kin
talk to {p} ; sprechen spricht sprach gesprochen ; mit+d:who
protest against {p} ; protestieren ; gegen+a:=law,reform,plan,decision,project,price,election
dream/dreamt/dreamt of {p} ; träumen ; von+d:animal event building
fall/fell/fallen in love with {p} ; sich verlieben ; in+a:person !
get/got/got used to {p} ; sich gewöhnen ; an+a:who animal building food
concentrate on {p} ; sich konzentrieren ; auf+a:text event
say/said/said goodbye to {p} ; sich verabschieden ; von+d:who
work on {p} ; arbeiten ; an+d:text =project,plan,theory
suffer from {p} ; leiden litt gelitten ; unter+d:=noise,accident,decision !
depend on {p} ; ab|hängen hing gehangen ; s:event abstract von+d:abstract !
prepare for {p} ; sich vor|bereiten ; auf+a:event
warn {a} about {p} ; warnen ; a:who vor+d:animal =danger,accident
sit/sat/sat on {p} ; sitzen saß gesessen ; auf+d:=chair,sofa,bench,carpet,stool,armchair
sing/sang/sung ; singen sang gesungen ;
dance ; tanzen ;
laugh ; lachen ;
cry ; weinen ;
swim/swam/swum ; schwimmen schwamm geschwommen s ;
come/came/come back ; zurück|kommen kam gekommen s ;
fall/fell/fallen asleep ; ein|schlafen schläft schlief geschlafen s ; !
wake/woke/woken up ; auf|wachen s ; !
stay at home ; zu_Hause~ bleiben blieb geblieben s ; !
go/went/gone shopping ; ein|kaufen ;
watch television ; fern|sehen sieht sah gesehen ;
leave/left/left ; weg|gehen ging gegangen s ; s:who
leave/left/left ; ab|fahren fährt fuhr gefahren s ; s:vehicle
get/got/got off ; aus|steigen stieg gestiegen s ;
hurry ; sich beeilen ;
rest ; sich aus|ruhen ;
shave ; sich rasieren ;
get/got/got lost ; sich verirren ;
relax ; sich entspannen ;
retire ; in_Rente~ gehen ging gegangen s ; !
begin/began/begun ; beginnen begann begonnen ; s:event !
take/took/taken place ; statt|finden fand gefunden ; s:event !
end ; enden ; s:event !
fail ; scheitern s ; s:=plan,project,reform,negotiation,proposal !
bark ; bellen ; s:=dog
sleep/slept/slept ; schlafen schläft schlief geschlafen ; s:animal
run/ran/run away ; weg|laufen läuft lief gelaufen s ; s:animal
disappear ; verschwinden verschwand verschwunden s ; s:who animal !
bloom ; blühen ; s:plant
wither ; verwelken s ; s:plant
break/broke/broken down ; kaputt|gehen ging gegangen s ; s:device vehicle !
rise/rose/risen ; steigen stieg gestiegen s ; s:=price,danger !
burn/burnt/burnt down ; ab|brennen brannte gebrannt s ; s:building !
resign ; zurück|treten tritt trat getreten s ; s:=minister,president,mayor,director !
emigrate ; aus|wandern s ; !
like {a} ; mögen mag mochte gemocht ; a:who animal food clothing !
hate {a} ; hassen ; a:who food topic !
afford {a} ; sich3 leisten ; a:=car,coat,computer,boat,flat,motorbike,suit,villa !
run/ran/run {a} ; leiten ; a:=school,museum,hotel,theatre,factory,restaurant,library,project
play {a} ; spielen ; a:=football,chess
change trains ; um|steigen stieg gestiegen s ;
spend/spent/spent a lot of money ; viel_Geld~ aus|geben gibt gab gegeben ;
spend/spent/spent the holidays ; die_Ferien~ verbringen verbrachte verbracht ; !
have/had/had breakfast ; frühstücken ;
go/went/gone for a walk ; spazieren~ gehen ging gegangen s ;
move house ; um|ziehen zog gezogen s ; !
catch/caught/caught a cold ; sich erkälten ; !
tell/told/told lies ; lügen log gelogen ;
describe {a} ; beschreiben beschrieb beschrieben ; a:attribute part
notice {a} ; bemerken ; a:attribute part =mistake !
criticise {a} ; kritisieren ; a:attribute
ask about {p} ; sich erkundigen ; nach+d:attribute event
talk about {p} ; sprechen spricht sprach gesprochen ; über+a:attribute
see/saw/seen {a} ; sehen sieht sah gesehen ; a:part !
paint {a} ; streichen strich gestrichen ; a:part
sneeze ; niesen ; !
smoke ; rauchen ;
whisper ; flüstern ;
"""


@dataclass(frozen=True)
class Slot:
    """One object: key a, d or p; kinds or single nouns (`=name,name`) that may fill it; preposition and case for p."""

    key: str
    kinds: tuple[str, ...]
    preposition: str = ""
    case: int = 1


@dataclass(frozen=True)
class Verb:
    """One verb sense; `pattern` is what follows the English verb."""

    en: str
    past: str
    participle: str
    pattern: str
    de: GermanVerb
    subject: tuple[str, ...]
    slots: tuple[Slot, ...]
    state: bool = False
    fixed: str = ""

    def slot(self, key: str) -> Slot | None:
        """Return the slot with this key."""
        return next((s for s in self.slots if s.key == key), None)


def _kinds(text: str) -> tuple[str, ...]:
    kinds: list[str] = []
    for kind in text.split():
        kinds += ["person", "kin"] if kind == "who" else [kind]
    return tuple(kinds)


def _frame(text: str) -> tuple[tuple[str, ...], tuple[Slot, ...]]:
    subject: tuple[str, ...] = ("who",)
    slots: list[Slot] = []
    fields: list[list[str]] = []
    for word in text.replace("!", "").split():
        if ":" in word:
            fields.append(word.split(":"))
        else:
            fields[-1][1] += " " + word
    for key, kinds in fields:
        if key == "s":
            subject = _kinds(kinds) if kinds != "who" else ("who",)
        elif "+" in key:
            preposition, case = key.split("+")
            slots.append(Slot("p", _kinds(kinds), preposition, 1 if case == "a" else 2))
        else:
            slots.append(Slot(key, _kinds(kinds)))
    return subject, tuple(slots)


def parse_verb(line: str) -> Verb:
    """Return the verb of one lexicon line (syntax: the module's docstring)."""
    english, german, frame = (part.strip() for part in (line + " ").split(";"))
    word, _, pattern = english.partition(" ")
    forms = word.split("/")
    fixed = ""
    if "~" in german:
        fixed, german = german.split("~ ")
    subject, slots = _frame(frame)
    past, participle = (forms[1], forms[2]) if len(forms) == 3 else (regular_past(word), regular_past(word))
    if word == "be":
        past, participle = "was", "been"
    return Verb(
        forms[0], past, participle, pattern, parse_german(german), subject, slots, "!" in frame, fixed.replace("_", " ")
    )


VERBS = tuple(parse_verb(line) for line in ENTRIES.strip().splitlines())


def verb(english: str, german: str, state: bool = True) -> Verb:
    """Return a verb without slots, for frames that the scenes complete themselves."""
    return parse_verb(f"{english} ; {german} ; {'!' if state else ''}")
