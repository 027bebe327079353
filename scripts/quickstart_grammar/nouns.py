"""Nouns: English and German forms, gender and semantic kind.

One entry is `english[/plural] German gender plural [feminine] [gen=genitive]`; `_` stands for a space.
Gender: m, f, n; mw is a weak masculine (n-declension). Plural: `=` as the singular, `-en` append, `^er` umlaut
and append, `0` none (mass noun), or the whole word. Kinds restrict which verbs and adjectives a noun may meet.
Entries are ordered by the frequency they get.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from quickstart_grammar.english import plural_of

ENTRIES = {
    "person": """
teacher Lehrer m = Lehrerin, doctor Arzt m ^e Ärztin, student Student mw -en Studentin, friend Freund m -e Freundin,
neighbour Nachbar mw -n Nachbarin, pupil Schüler m = Schülerin, boss Chef m -s Chefin,
colleague Kollege mw -n Kollegin, journalist Journalist mw -en Journalistin, engineer Ingenieur m -e Ingenieurin,
lawyer Anwalt m ^e Anwältin, man/men Mann m ^er, woman/women Frau f -en, child/children Kind n -er, boy Junge mw -n,
girl Mädchen n =, guest Gast m ^e, customer Kunde mw -n Kundin, nurse Krankenschwester f -n, cook Koch m ^e Köchin,
artist Künstler m = Künstlerin, author Autor m -en Autorin, minister Minister m = Ministerin,
mayor Bürgermeister m = Bürgermeisterin, president Präsident mw -en Präsidentin, tourist Tourist mw -en Touristin,
patient Patient mw -en Patientin, professor Professor m -en Professorin,
scientist Wissenschaftler m = Wissenschaftlerin, singer Sänger m = Sängerin, actor Schauspieler m = Schauspielerin,
politician Politiker m = Politikerin, waiter Kellner m = Kellnerin, baker Bäcker m = Bäckerin,
gardener Gärtner m = Gärtnerin, judge Richter m = Richterin, painter Maler m = Malerin, driver Fahrer m = Fahrerin,
architect Architekt mw -en Architektin, policeman/policemen Polizist mw -en, thief/thieves Dieb m -e,
musician Musiker m = Musikerin, photographer Fotograf mw -en Fotografin, pilot Pilot mw -en Pilotin,
farmer Bauer mw -n Bäuerin, mechanic Mechaniker m = Mechanikerin, visitor Besucher m = Besucherin,
owner Besitzer m = Besitzerin, witness Zeuge mw -n Zeugin, expert Experte mw -n Expertin,
researcher Forscher m = Forscherin, tenant Mieter m = Mieterin, landlord Vermieter m =,
shop_assistant Verkäufer m = Verkäuferin, secretary Sekretär m -e Sekretärin, player Spieler m = Spielerin,
coach Trainer m = Trainerin, baby Baby n -s, hairdresser Friseur m -e Friseurin, butcher Metzger m = Metzgerin,
carpenter Tischler m = Tischlerin, electrician Elektriker m = Elektrikerin, postman/postmen Briefträger m =,
firefighter Feuerwehrmann m Feuerwehrleute, soldier Soldat mw -en Soldatin, dentist Zahnarzt m ^e Zahnärztin,
translator Übersetzer m = Übersetzerin, interpreter Dolmetscher m = Dolmetscherin,
librarian Bibliothekar m -e Bibliothekarin, reader Leser m = Leserin, passenger Passagier m -e Passagierin,
captain Kapitän m -e Kapitänin, king König m -e, queen Königin f -nen, prince Prinz mw -en, apprentice Lehrling m -e,
surgeon Chirurg mw -en Chirurgin, composer Komponist mw -en Komponistin, poet Dichter m = Dichterin,
detective Detektiv m -e Detektivin, spy Spion m -e Spionin gen=Spions, hunter Jäger m = Jägerin,
fisherman/fishermen Fischer m =, shepherd Schäfer m = Schäferin, monk Mönch m -e, nun Nonne f -n, bishop Bischof m ^e,
tailor Schneider m = Schneiderin, plumber Klempner m = Klempnerin, sculptor Bildhauer m = Bildhauerin,
widow Witwe f -n, refugee Flüchtling m -e, astronaut Astronaut mw -en Astronautin, magician Zauberer m =
""",
    "kin": """
mother Mutter f ^, father Vater m ^, brother Bruder m ^, sister Schwester f -n, son Sohn m ^e, daughter Tochter f ^,
uncle Onkel m =, aunt Tante f -n, grandmother Großmutter f ^, grandfather Großvater m ^, husband Mann m ^er,
wife/wives Frau f -en, nephew Neffe mw -n, niece Nichte f -n, grandson Enkel m =, granddaughter Enkelin f -nen,
brother-in-law/brothers-in-law Schwager m ^, mother-in-law/mothers-in-law Schwiegermutter f ^
""",
    "animal": """
dog Hund m -e, cat Katze f -n, horse Pferd n -e, bird Vogel m ^, cow Kuh f ^e, pig Schwein n -e, sheep/sheep Schaf n -e,
goat Ziege f -n, duck Ente f -n, mouse/mice Maus f ^e, goose/geese Gans f ^e, rabbit Kaninchen n =, bear Bär mw -en,
fox Fuchs m ^e, wolf/wolves Wolf m ^e, monkey Affe mw -n, lion Löwe mw -n, elephant Elefant mw -en, donkey Esel m =,
frog Frosch m ^e, snake Schlange f -n, hedgehog Igel m =, deer/deer Reh n -e, squirrel Eichhörnchen n =,
parrot Papagei m -en, tortoise Schildkröte f -n, stork Storch m ^e, owl Eule f -n, eagle Adler m =, hare Hase mw -n,
crow Krähe f -n, sparrow Spatz mw -en, badger Dachs m -e, otter Otter m =
""",
    "text": """
book Buch n ^er, letter Brief m -e, newspaper Zeitung f -en, report Bericht m -e, article Artikel m =,
email E-Mail f -s, novel Roman m -e, message Nachricht f -en, story Geschichte f -n, contract Vertrag m ^e,
poem Gedicht n -e, text Text m -e, list Liste f -n, magazine Zeitschrift f -en, recipe Rezept n -e,
invoice Rechnung f -en, postcard Postkarte f -n, speech Rede f -n, invitation Einladung f -en, diary Tagebuch n ^er,
form Formular n -e, essay Aufsatz m ^e, fairy_tale Märchen n =, dictionary Wörterbuch n ^er, note Notiz f -en,
manual Bedienungsanleitung f -en, screenplay Drehbuch n ^er, petition Petition f -en, will Testament n -e
""",
    "small": """
key Schlüssel m =, knife/knives Messer n =, pencil Bleistift m -e, mobile_phone Handy n -s, ticket Fahrkarte f -n,
wallet Brieftasche f -n, ring Ring m -e, camera Kamera f -s, passport Pass m ^e, spoon Löffel m =, fork Gabel f -n,
blanket Decke f -n, ball Ball m ^e, toy Spielzeug n -e, umbrella Regenschirm m -e, watch Armbanduhr f -en,
towel Handtuch n ^er, coin Münze f -n, doll Puppe f -n, pillow Kissen n =, stamp Briefmarke f -n, hammer Hammer m ^,
rope Seil n -e, brush Bürste f -n, necklace Halskette f -n, bracelet Armband n ^er, screwdriver Schraubenzieher m =,
needle Nadel f -n, magnifying_glass Lupe f -n
""",
    "stand": """
bottle Flasche f -n, glass Glas n ^er, cup Tasse f -n, suitcase Koffer m =, lamp Lampe f -n, plate Teller m =,
vase Vase f -n, pot Topf m ^e, bowl Schüssel f -n, basket Korb m ^e, bucket Eimer m =, candle Kerze f -n,
ladder Leiter f -n, jug Krug m ^e, box Kiste f -n, teapot Teekanne f -n, barrel Fass n ^er
""",
    "hang": """
picture Bild n -er, mirror Spiegel m =, calendar Kalender m =, map Karte f -n, painting Gemälde n =, photo Foto n -s,
poster Plakat n -e, curtain Vorhang m ^e, flag Fahne f -n, drawing Zeichnung f -en, portrait Porträt n -s
""",
    "furniture": """
table Tisch m -e, bed Bett n -en, chair Stuhl m ^e, cupboard Schrank m ^e, desk Schreibtisch m -e, sofa Sofa n -s,
shelf/shelves Regal n -e, armchair Sessel m =, carpet Teppich m -e, chest_of_drawers/chests_of_drawers Kommode f -n,
stool Hocker m =, bookcase Bücherregal n -e, wardrobe Kleiderschrank m ^e, piano Klavier n -e
""",
    "clothing": """
coat Mantel m ^, shirt Hemd n -en, dress Kleid n -er, jacket Jacke f -n, hat Hut m ^e, jumper Pullover m =,
skirt Rock m ^e, suit Anzug m ^e, blouse Bluse f -n, scarf/scarves Schal m -s, tie Krawatte f -n, cap Mütze f -n,
uniform Uniform f -en, belt Gürtel m =, waistcoat Weste f -n, apron Schürze f -n, dressing_gown Bademantel m ^
""",
    "food": """
bread Brot n 0, apple Apfel m ^, cake Kuchen m =, soup Suppe f -n, egg Ei n -er gen=Eies, cheese Käse m 0,
fish/fish Fisch m -e, meat Fleisch n 0, potato Kartoffel f -n, salad Salat m -e, sausage Wurst f ^e, pizza Pizza f -s,
pear Birne f -n, tomato Tomate f -n, rice Reis m 0, roll Brötchen n =, cherry Kirsche f -n, biscuit Keks m -e,
chocolate Schokolade f 0, carrot Karotte f -n, strawberry Erdbeere f -n, honey Honig m 0, plum Pflaume f -n,
pancake Pfannkuchen m =, ham Schinken m 0, cucumber Gurke f -n, mushroom Pilz m -e, peach Pfirsich m -e,
jam Marmelade f 0, dumpling Knödel m =, leek Lauch m 0
""",
    "drink": """
coffee Kaffee m 0, tea Tee m 0, water Wasser n 0, milk Milch f 0, wine Wein m 0, beer Bier n 0, juice Saft m 0,
cocoa Kakao m 0, lemonade Limonade f 0, brandy Schnaps m 0, cider Apfelwein m 0
""",
    "device": """
computer Computer m =, radio Radio n -s, washing_machine Waschmaschine f -n, television Fernseher m =,
heating Heizung f 0, printer Drucker m =, machine Maschine f -n, dishwasher Spülmaschine f -n, alarm_clock Wecker m =,
oven Ofen m ^, coffee_machine Kaffeemaschine f -n, vacuum_cleaner Staubsauger m =, fan Ventilator m -en,
pump Pumpe f -n, lawnmower Rasenmäher m =, projector Projektor m -en, loudspeaker Lautsprecher m =,
drill Bohrmaschine f -n
""",
    "vehicle": """
car Auto n -s, bicycle Fahrrad n ^er, bus Bus m Busse gen=Busses, train Zug m ^e, tram Straßenbahn f -en,
taxi Taxi n -s, ship Schiff n -e, aeroplane Flugzeug n -e, lorry Lastwagen m =, boat Boot n -e,
motorbike Motorrad n ^er, van Lieferwagen m =, underground_train U-Bahn f -en, tractor Traktor m -en, ferry Fähre f -n,
ambulance Krankenwagen m =, helicopter Hubschrauber m =, caravan Wohnwagen m =, carriage Kutsche f -n
""",
    "building": """
house Haus n ^er, school Schule f -n, museum Museum n Museen, hotel Hotel n -s, church Kirche f -n,
hospital Krankenhaus n ^er, flat Wohnung f -en, bridge Brücke f -n, library Bibliothek f -en,
restaurant Restaurant n -s, castle Schloss n ^er, theatre Theater n =, tower Turm m ^e, factory Fabrik f -en,
town_hall Rathaus n ^er, office Büro n -s, shop Laden m ^, cinema Kino n -s, bakery Bäckerei f -en, cathedral Dom m -e,
villa Villa f Villen, prison Gefängnis n -se, hut Hütte f -n, monastery Kloster n ^, palace Palast m ^e,
pharmacy Apotheke f -n, barn Scheune f -n, mill Mühle f -n, inn Gasthaus n ^er, lighthouse Leuchtturm m ^e,
stadium Stadion n Stadien, nursery_school Kindergarten m ^, fortress Festung f -en
""",
    "room": """
kitchen Küche f -n, living_room Wohnzimmer n =, bedroom Schlafzimmer n =, bathroom Badezimmer n =, cellar Keller m =,
garden Garten m ^, garage Garage f -n, classroom Klassenzimmer n =, attic Dachboden m ^, balcony Balkon m -e,
dining_room Esszimmer n =, stable Stall m ^e, waiting_room Wartezimmer n =, terrace Terrasse f -n,
pantry Speisekammer f -n
""",
    "nature": """
forest Wald m ^er, lake See m -n, park Park m -s, river Fluss m ^e, mountain Berg m -e, village Dorf n ^er,
town Stadt f ^e, valley Tal n ^er, island Insel f -n, meadow Wiese f -n, field Feld n -er, hill Hügel m =,
square Platz m ^e, cave Höhle f -n, glacier Gletscher m =, waterfall Wasserfall m ^e, swamp Sumpf m ^e,
gorge Schlucht f -en
""",
    "plant": """
tree Baum m ^e, flower Blume f -n, rose Rose f -n, tulip Tulpe f -n, bush Strauch m ^er, oak Eiche f -n,
hedge Hecke f -n, palm_tree Palme f -n, sunflower Sonnenblume f -n, fir_tree Tanne f -n, lily Lilie f -n
""",
    "event": """
concert Konzert n -e, meeting Besprechung f -en, exam Prüfung f -en, wedding Hochzeit f -en, journey Reise f -n,
lecture Vortrag m ^e, exhibition Ausstellung f -en, course Kurs m -e, match Spiel n -e, party Feier f -n,
conference Konferenz f -en, trip Ausflug m ^e, performance Vorstellung f -en, festival Festival n -s,
competition Wettbewerb m -e, election Wahl f -en, appointment Termin m -e, demonstration Demonstration f -en,
visit Besuch m -e, negotiation Verhandlung f -en, trial Prozess m -e, rehearsal Probe f -n, ceremony Zeremonie f -n,
funeral Beerdigung f -en, auction Versteigerung f -en, lottery Verlosung f -en
""",
    "abstract": """
problem Problem n -e, question Frage f -n, idea Idee f -n, plan Plan m ^e, mistake Fehler m =,
decision Entscheidung f -en, proposal Vorschlag m ^e, result Ergebnis n -se, project Projekt n -e, rule Regel f -n,
law Gesetz n -e, price Preis m -e, reform Reform f -en, secret Geheimnis n -se, offer Angebot n -e,
method Methode f -n, reason Grund m ^e, accident Unfall m ^e, theory Theorie f -n, dispute Streit m 0,
request Bitte f -n, danger Gefahr f -en, obstacle Hindernis n -se
""",
    "topic": """
music Musik f 0, history Geschichte f 0, art Kunst f 0, politics Politik f 0, football Fußball m 0, physics Physik f 0,
literature Literatur f 0, chess Schach n 0, philosophy Philosophie f 0, architecture Architektur f 0,
astronomy Astronomie f 0, fashion Mode f 0, geography Geographie f 0, agriculture Landwirtschaft f 0
""",
    "opening": """
door Tür f -en, window Fenster n =, gate Tor n -e, drawer Schublade f -n, envelope Umschlag m ^e, parcel Paket n -e
""",
}

# Heads of a genitive: "the roof of the house"; entry and the kinds that may own it.
RELATIONAL = """
roof Dach n ^er: building | owner Besitzer m = Besitzerin: building vehicle | door Tür f -en: building room vehicle
colour Farbe f -n: clothing vehicle furniture
director Direktor m -en Direktorin: =museum,theatre,library,factory,prison
title Titel m =: text | price Preis m -e: clothing device vehicle | beginning Anfang m ^e: text event
end Ende n -n: event text
history Geschichte f 0: nature building | engine Motor m -en: vehicle | author Autor m -en Autorin: text
wall Wand f ^e: room | result Ergebnis n -se: event | window Fenster n =: room building vehicle
cause Ursache f -n: =accident,problem,dispute | edge Rand m ^er: nature | weight Gewicht n 0: furniture stand
height Höhe f -n: building | quality Qualität f 0: food clothing | length Länge f -n: event
inhabitant Einwohner m = Einwohnerin: =village,town,island
"""

RELATIONAL_KINDS = {
    **dict.fromkeys(("owner", "director", "author", "inhabitant"), "person"),
    **dict.fromkeys(("door", "window"), "opening"),
    **dict.fromkeys(("roof", "wall"), "part"),
    "engine": "device",
}
# Kin that one person has several of.
COUNTABLE_KIN = (
    "brother",
    "sister",
    "son",
    "daughter",
    "uncle",
    "aunt",
    "nephew",
    "niece",
    "grandson",
    "granddaughter",
)

# Which third person an English speaker uses for a person whose German noun is neuter.
NEUTER_PERSONS = {"child": "he", "girl": "she", "baby": "it"}


@dataclass(frozen=True)
class Noun:
    """One noun; `kind` is its semantic class, `owners` the kinds a genitive may name."""

    en: str
    en_plural: str
    de: str
    gender: str
    weak: bool
    de_plural: str
    genitive: str
    kind: str
    feminine: str = ""
    owners: tuple[str, ...] = ()

    @property
    def mass(self) -> bool:
        """True if it has no plural."""
        return not self.de_plural

    def declined(self, case: int, plural: bool) -> str:
        """Return the German form; cases are 0 nominative, 1 accusative, 2 dative, 3 genitive."""
        if plural:
            return self.de_plural + ("n" if case == 2 and self.de_plural[-1] not in "nsa" else "")
        if self.weak and case > 0:
            return self.de_plural
        return self.genitive if case == 3 else self.de

    def as_feminine(self) -> Noun:
        """Return the noun for a woman: Lehrer becomes Lehrerin."""
        word = self.feminine
        return replace(self, de=word, gender="f", weak=False, de_plural=word + "nen", genitive=word, feminine="")


def _umlaut(word: str) -> str:
    if word.rfind("au") >= 0 and word.rfind("au") + 1 == max(word.rfind(c) for c in "aouAOU"):
        at = word.rfind("au")
        return word[:at] + "äu" + word[at + 2 :]
    at = max(word.rfind(c) for c in "aouAOU")
    return word[:at] + word[at].translate(str.maketrans("aouAOU", "äöüÄÖÜ")) + word[at + 1 :]


def _plural(word: str, code: str) -> str:
    if code == "0":
        return ""
    if code == "=":
        return word
    if code.startswith("^"):
        return _umlaut(word) + code[1:]
    return word + code[1:] if code.startswith("-") else code


def _genitive(word: str, gender: str, code: str) -> str:
    if gender == "f":
        return word
    if word.endswith("nis"):
        return word + "ses"
    if re.search(r"(s|ß|x|z|sch|st)$", word) and code != "-s":
        return word + "es"
    short = len(re.findall(r"[aeiouyäöü]+", word.lower())) == 1 and word[-1] not in "aeiouyäöülrh"
    return word + ("es" if short and code != "-s" else "s")


def parse_noun(entry: str, kind: str) -> Noun:
    """Return the noun of one lexicon entry (syntax: the module's docstring)."""
    fields = entry.split()
    names, de, gender, code = fields[0].replace("_", " ").split("/"), fields[1], fields[2], fields[3]
    genitive = next((f[4:] for f in fields[4:] if f.startswith("gen=")), _genitive(de, gender[0], code))
    return Noun(
        en=names[0],
        en_plural=names[1] if len(names) > 1 else plural_of(names[0]),
        de=de,
        gender=gender[0],
        weak=gender == "mw",
        de_plural=_plural(de, code),
        genitive=genitive,
        kind=kind,
        feminine=next((f for f in fields[4:] if not f.startswith("gen=")), ""),
    )


def _parse_relational() -> tuple[Noun, ...]:
    nouns = []
    for item in RELATIONAL.replace("\n", "|").split("|"):
        if item.strip():
            entry, owners = item.split(":")
            noun = parse_noun(entry, RELATIONAL_KINDS.get(entry.split()[0], "attribute"))
            nouns.append(replace(noun, owners=tuple(owners.split())))
    return tuple(nouns)


NOUNS: dict[str, tuple[Noun, ...]] = {
    kind: tuple(parse_noun(entry, kind) for entry in text.split(",")) for kind, text in ENTRIES.items()
}
RELATIONAL_NOUNS = _parse_relational()
BY_NAME: dict[str, Noun] = {noun.en: noun for nouns in NOUNS.values() for noun in nouns}
