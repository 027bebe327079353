"""Productive compounds: English "garden door key", German "Gartentürschlüssel".

A group is modifiers (English:German stem with its linking element) times heads (noun entries with their kind).
"""

from __future__ import annotations

from dataclasses import replace

from quickstart_grammar.nouns import Noun, parse_noun

GROUPS: tuple[tuple[str, str], ...] = (
    (
        "kitchen:Küchen garden:Garten house:Haus office:Büro cellar:Keller hotel:Hotel school:Schul church:Kirchen "
        "bathroom:Badezimmer bedroom:Schlafzimmer factory:Fabrik museum:Museums library:Bibliotheks garage:Garagen "
        "hospital:Krankenhaus theatre:Theater living_room:Wohnzimmer castle:Schloss town_hall:Rathaus station:Bahnhofs "
        "balcony:Balkon restaurant:Restaurant monastery:Kloster prison:Gefängnis attic:Dachboden",
        "opening: door Tür f -en, window Fenster n =, gate Tor n -e; furniture: cupboard Schrank m ^e, table Tisch m "
        "-e, chair Stuhl m ^e; small: key Schlüssel m =, door_key Türschlüssel m =; stand: lamp Lampe f -n; hang: "
        "clock Uhr f -en; building: entrance Eingang m ^e, roof Dach n ^er, wall Mauer f -n, tower Turm m ^e; room: "
        "corridor Flur m -e",
    ),
    (
        "wooden:Holz leather:Leder glass:Glas metal:Metall plastic:Plastik paper:Papier silver:Silber gold:Gold "
        "iron:Eisen stone:Stein straw:Stroh porcelain:Porzellan copper:Kupfer",
        "stand: box Kiste f -n, bowl Schüssel f -n, vase Vase f -n, bucket Eimer m =, cup Becher m =; "
        "furniture: table Tisch m -e, bench Bank f ^e; small: ring Ring m -e, ball Kugel f -n, bag Tasche f -n, "
        "chain Kette f -n; opening: door Tür f -en",
    ),
    (
        "winter:Winter summer:Sommer rain:Regen wool:Woll silk:Seiden leather:Leder work:Arbeits sports:Sport "
        "evening:Abend",
        "clothing: coat Mantel m ^, jacket Jacke f -n, dress Kleid n -er, hat Hut m ^e, shirt Hemd n -en, cap Mütze "
        "f -n, scarf/scarves Schal m -s, shoe Schuh m -e gen=Schuhs, suit Anzug m ^e",
    ),
    (
        "apple:Apfel plum:Pflaumen cherry:Kirsch chocolate:Schokoladen strawberry:Erdbeer nut:Nuss lemon:Zitronen "
        "pear:Birnen cheese:Käse carrot:Karotten rhubarb:Rhabarber hazelnut:Haselnuss pumpkin:Kürbis",
        "food: cake Kuchen m =, ice_cream Eis n 0, jam Marmelade f 0, tart Torte f -n; drink: juice Saft m 0",
    ),
    (
        "potato:Kartoffel tomato:Tomaten vegetable:Gemüse fish:Fisch onion:Zwiebel mushroom:Pilz bean:Bohnen "
        "chicken:Hühner lentil:Linsen noodle:Nudel cucumber:Gurken asparagus:Spargel pea:Erbsen",
        "food: soup Suppe f -n, salad Salat m -e, stew Eintopf m ^e, bake Auflauf m ^e",
    ),
    (
        "music:Musik history:Geschichts German:Deutsch sports:Sport art:Kunst maths:Mathematik English:Englisch "
        "physics:Physik dance:Tanz language:Sprach chemistry:Chemie biology:Biologie geography:Geographie "
        "primary-school:Grundschul",
        "person: teacher Lehrer m = Lehrerin, student Student mw -en Studentin; event: lesson Stunde f -n, exam "
        "Prüfung f -en, course Kurs m -e, project Projekt n -e; text: book Buch n ^er, magazine Zeitschrift f -en",
    ),
    (
        "bus:Bus taxi:Taxi car:Auto lorry:Lastwagen train:Zug ship:Schiffs tram:Straßenbahn aeroplane:Flugzeug "
        "tractor:Traktor motorbike:Motorrad bicycle:Fahrrad boat:Boots helicopter:Hubschrauber underground:U-Bahn-",
        "person: driver Fahrer m = Fahrerin, mechanic Mechaniker m = Mechanikerin; opening: door Tür f -en, window "
        "Fenster n =; device: engine Motor m -en; event: trip Fahrt f -en, race Rennen n =; building: museum Museum "
        "n Museen, factory Fabrik f -en; abstract: accident Unfall m ^e",
    ),
    (
        "hotel:Hotel museum:Museums bank:Bank company:Firmen school:Schul hospital:Krankenhaus restaurant:Restaurant "
        "theatre:Theater library:Bibliotheks factory:Fabrik shop:Laden café:Café zoo:Zoo opera:Opern prison:Gefängnis",
        "person: director Direktor m -en Direktorin, owner Besitzer m = Besitzerin, guest Gast m ^e, "
        "visitor Besucher m = Besucherin, employee Mitarbeiter m = Mitarbeiterin, manager Leiter m = Leiterin; "
        "abstract: rule Regel f -n, project Projekt n -e; text: report Bericht m -e; vehicle: car Wagen m =",
    ),
    (
        "dog:Hunde cat:Katzen horse:Pferde bird:Vogel rabbit:Kaninchen fish:Fisch animal:Tier "
        "butterfly:Schmetterlings bee:Bienen elephant:Elefanten",
        "text: book Buch n ^er; stand: basket Korb m ^e; hang: picture Bild n -er, photo Foto n -s; "
        "person: lover Freund m -e Freundin, researcher Forscher m = Forscherin; event: exhibition Ausstellung f -en",
    ),
    (
        "traffic:Verkehrs energy:Energie tax:Steuer education:Bildungs health:Gesundheits climate:Klima "
        "security:Sicherheits peace:Friedens research:Forschungs labour-market:Arbeitsmarkt "
        "immigration:Einwanderungs housing:Wohnungs",
        "abstract: law Gesetz n -e, reform Reform f -en, problem Problem n -e, plan Plan m ^e, question Frage f -n; "
        "event: conference Konferenz f -en; person: expert Experte mw -n Expertin, minister Minister m = Ministerin; "
        "text: report Bericht m -e",
    ),
    (
        "summer:Sommer evening:Abend Christmas:Weihnachts spring:Frühlings school:Schul street:Straßen village:Dorf "
        "jazz:Jazz family:Familien town:Stadt piano:Klavier charity:Wohltätigkeits",
        "event: concert Konzert n -e, party Fest n -e, course Kurs m -e, event Veranstaltung f -en",
    ),
    (
        "apple:Apfel cherry:Kirsch pear:Birn plum:Pflaumen walnut:Walnuss orange:Orangen olive:Oliven fig:Feigen",
        "plant: tree Baum m ^e",
    ),
)


def _compound(modifier: str, head: Noun) -> Noun:
    english, stem = modifier.replace("_", " ").split(":")

    def join(word: str) -> str:
        return "" if not word else stem + (word if stem.endswith("-") else word.lower())

    return replace(
        head,
        en=f"{english} {head.en}",
        en_plural=f"{english} {head.en_plural}",
        de=join(head.de),
        de_plural=join(head.de_plural),
        genitive=join(head.genitive),
        feminine=join(head.feminine),
    )


def _heads(text: str) -> list[Noun]:
    nouns = []
    for part in text.split(";"):
        kind, entries = part.split(":")
        nouns += [parse_noun(entry, kind.strip()) for entry in entries.split(",")]
    return nouns


EXCLUDED = frozenset(
    """straw ring, straw chain, stone bag, iron bag, porcelain bag, glass bag, copper bag, wooden bag, straw bucket,
paper bucket, paper bench, paper door, straw door, straw vase, straw cup, straw table, paper table,
leather table, leather vase, leather door, leather bowl, porcelain door, leather dress, garage table,
garage chair, town hall key, station key, house table, house chair, house cupboard, rain dress, rain shirt,
rain scarf, rain suit, wool suit, silk coat, cheese jam, cheese juice, cheese ice cream,
primary-school student, German magazine, bee basket, elephant basket, fish lover, silver bag, gold bag,
gold bucket, gold door, silver door, silver table, gold table, porcelain table, stone cup, glass bucket,
porcelain bench, gold bench, silver bench, copper bench""".replace("\n", " ").split(", ")
)


def compound_groups(kind: str) -> list[tuple[tuple[str, ...], tuple[Noun, ...]]]:
    """Return the groups (modifiers, heads) that make compounds of this kind."""
    groups = []
    for modifiers, text in GROUPS:
        heads = tuple(head for head in _heads(text) if head.kind == kind)
        if heads:
            groups.append((tuple(modifiers.split()), heads))
    return groups


def compound(modifier: str, head: Noun) -> Noun | None:
    """Return modifier + head, or None where the pair makes no sensible word ("silver glass door", "car car")."""
    noun = _compound(modifier, head)
    return None if noun.en in EXCLUDED or noun.en == f"{head.en} {head.en}" else noun
