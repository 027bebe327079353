"""Names of people and places; the pairs of place names are facts as in CLDR and gazetteers."""

from __future__ import annotations

from dataclasses import dataclass

CITIES = """
Berlin, Munich/München, Vienna/Wien, Hamburg, Cologne/Köln, Zurich/Zürich, Paris, London, Nuremberg/Nürnberg, Rome/Rom,
Leipzig, Geneva/Genf, Prague/Prag, Hanover/Hannover, Milan/Mailand, Salzburg, Venice/Venedig, Warsaw/Warschau,
Brussels/Brüssel, Dresden, Madrid, Florence/Florenz, Copenhagen/Kopenhagen, Basle/Basel, Athens/Athen, Moscow/Moskau,
Strasbourg/Straßburg, Graz, Lisbon/Lissabon, Naples/Neapel, Bremen, Brunswick/Braunschweig, Lucerne/Luzern,
Cracow/Krakau, Stuttgart, Tokyo/Tokio, Antwerp/Antwerpen, Innsbruck, Beijing/Peking, Cairo/Kairo, Ghent/Gent,
Bruges/Brügge, Nice/Nizza, Seville/Sevilla, Belgrade/Belgrad, Bucharest/Bukarest, Turin, Genoa/Genua, Padua,
Heidelberg, Freiburg, Lübeck, Rostock, Dublin, Oslo, Stockholm, Budapest, Barcelona, Bern, Mainz, Erfurt, Weimar,
Mexico City/Mexiko-Stadt, Havana/Havanna, Singapore/Singapur, The Hague/Den Haag, Bratislava, Ljubljana, Riga, Tallinn,
Wroclaw/Breslau, Gdansk/Danzig, New York, Boston, Chicago, Sydney, Kyoto, Marrakesh/Marrakesch, Jerusalem,
Damascus/Damaskus, Tehran/Teheran
"""
COUNTRIES = """
Germany/Deutschland, Austria/Österreich, France/Frankreich, Italy/Italien, Spain/Spanien, England, Poland/Polen,
Greece/Griechenland, Sweden/Schweden, Denmark/Dänemark, Norway/Norwegen, Japan, Ireland/Irland, Hungary/Ungarn,
Portugal, Scotland/Schottland, China, Canada/Kanada, Brazil/Brasilien, India/Indien, Belgium/Belgien, Finland/Finnland,
Croatia/Kroatien, Egypt/Ägypten, Bavaria/Bayern, Morocco/Marokko, Australia/Australien, Mexico/Mexiko, Iceland/Island,
Saxony/Sachsen, South Africa/Südafrika, Romania/Rumänien, New Zealand/Neuseeland, Cyprus/Zypern, Albania/Albanien,
Lower Saxony/Niedersachsen, Estonia/Estland, Kenya/Kenia
"""
# English, German name, gender; static preposition and goal preposition (an: waters).
WITH_ARTICLE = """
Switzerland Schweiz f in, Turkey Türkei f in, the_Netherlands Niederlande p in, the_United_States USA p in,
Lake_Constance Bodensee m an, the_Baltic_Sea Ostsee f an, the_North_Sea Nordsee f an, the_Alps Alpen p in,
the_Black_Forest Schwarzwald m in, Tuscany Toskana f in, Slovakia Slowakei f in, Ukraine Ukraine f in,
Mongolia Mongolei f in, Alsace Elsass n in, the_Philippines Philippinen p auf, the_Mediterranean Mittelmeer n an,
Brittany Bretagne f in, the_Moselle Mosel f an, the_Czech_Republic Tschechische_Republik f in,
the_Canary_Islands Kanarischen_Inseln p auf, Lebanon Libanon m in, the_Caribbean Karibik f in, Normandy Normandie f in
"""
MEN = [
    "Paul",
    "Peter",
    "Thomas",
    "Max",
    "Jonas",
    "Stefan",
    "Felix",
    "Hans",
    "Lukas",
    "Martin",
    "David",
    "Klaus",
    "Karl",
    "Andreas",
    "Emil",
    "Matthias",
    "Georg",
    "Otto",
    "Moritz",
    "Ferdinand",
]
WOMEN = [
    "Anna",
    "Maria",
    "Julia",
    "Sarah",
    "Lisa",
    "Eva",
    "Laura",
    "Katharina",
    "Clara",
    "Sophie",
    "Petra",
    "Ingrid",
    "Hannah",
    "Ruth",
    "Greta",
    "Johanna",
    "Charlotte",
    "Beate",
    "Frieda",
]
SURNAMES = [
    "Müller",
    "Schmidt",
    "Weber",
    "Fischer",
    "Wagner",
    "Becker",
    "Hoffmann",
    "Koch",
    "Richter",
    "Klein",
    "Wolf",
    "Neumann",
    "Schwarz",
    "Zimmermann",
    "Braun",
    "Krüger",
    "Lange",
    "Hartmann",
    "Lehmann",
    "Vogel",
    "Winkler",
    "Berger",
    "Lorenz",
    "Baumann",
    "Seidel",
    "Pohl",
    "Ziegler",
    "Kuhn",
    "Brandt",
    "Schuster",
]
# English static phrase, English goal phrase, German static phrase, German goal phrase.
SPOTS = """
in the kitchen|into the kitchen|in der Küche|in die Küche
in the garden|into the garden|im Garten|in den Garten
at school|to school|in der Schule|in die Schule
at the station|to the station|am Bahnhof|zum Bahnhof
in the office|to the office|im Büro|ins Büro
at the airport|to the airport|am Flughafen|zum Flughafen
at the theatre|to the theatre|im Theater|ins Theater
in the park|to the park|im Park|in den Park
at home|home|zu Hause|nach Hause
on the market square|to the market square|auf dem Marktplatz|auf den Marktplatz
at the cinema|to the cinema|im Kino|ins Kino
in the library|to the library|in der Bibliothek|in die Bibliothek
in the forest|into the forest|im Wald|in den Wald
in the mountains|into the mountains|in den Bergen|in die Berge
at the baker's|to the baker's|beim Bäcker|zum Bäcker
on the beach|to the beach|am Strand|an den Strand
at the doctor's|to the doctor's|beim Arzt|zum Arzt
at the town hall|to the town hall|im Rathaus|zum Rathaus
in the supermarket|to the supermarket|im Supermarkt|in den Supermarkt
by the sea|to the sea|am Meer|ans Meer
in the countryside|to the countryside|auf dem Land|aufs Land
in the restaurant|to the restaurant|im Restaurant|ins Restaurant
at the post office|to the post office|auf der Post|zur Post
in the old town|to the old town|in der Altstadt|in die Altstadt
in the cellar|into the cellar|im Keller|in den Keller
in the living room|into the living room|im Wohnzimmer|ins Wohnzimmer
on the island|to the island|auf der Insel|auf die Insel
in the hotel|to the hotel|im Hotel|ins Hotel
at the university|to the university|an der Universität|zur Universität
in the village|to the village|im Dorf|ins Dorf
at the pharmacy|to the pharmacy|in der Apotheke|zur Apotheke
in the swimming pool|to the swimming pool|im Schwimmbad|ins Schwimmbad
on the bank of the river|to the bank of the river|am Ufer des Flusses|zum Ufer des Flusses
on the balcony|onto the balcony|auf dem Balkon|auf den Balkon
in the town centre|to the town centre|in der Innenstadt|in die Innenstadt
at the embassy|to the embassy|in der Botschaft|zur Botschaft
at the petrol station|to the petrol station|an der Tankstelle|zur Tankstelle
in the factory|to the factory|in der Fabrik|in die Fabrik
on the farm|to the farm|auf dem Bauernhof|auf den Bauernhof
at the harbour|to the harbour|am Hafen|zum Hafen
in the attic|up to the attic|auf dem Dachboden|auf den Dachboden
abroad|abroad|im Ausland|ins Ausland
"""


@dataclass(frozen=True)
class Place:
    """A place as a place ("in Vienna") and as a goal ("to Vienna"); kind is city, country, region or spot."""

    en: str
    en_goal: str
    de: str
    de_goal: str
    kind: str
    name: str = ""
    de_name: str = ""


def _pairs(text: str) -> list[tuple[str, str]]:
    names = [name.strip().split("/") for name in text.replace("\n", " ").split(",")]
    return [(name[0], name[-1]) for name in names]


def _plain(text: str, kind: str) -> tuple[Place, ...]:
    return tuple(Place(f"in {en}", f"to {en}", f"in {de}", f"nach {de}", kind, en, de) for en, de in _pairs(text))


def _region(entry: str) -> Place:
    en, de, gender, preposition = (field.replace("_", " ") for field in entry.split())
    dative = {"m": "dem", "f": "der", "n": "dem", "p": "den"}[gender]
    accusative = {"m": "den", "f": "die", "n": "das", "p": "die"}[gender]
    short = {"in dem": "im", "an dem": "am", "in das": "ins", "an das": "ans"}
    static, goal = f"{preposition} {dative}", f"{preposition} {accusative}"
    english = {"in": "in", "an": "at" if en.startswith("Lake") else "on", "auf": "in"}[preposition]
    return Place(
        f"{english} {en}", f"to {en}", f"{short.get(static, static)} {de}", f"{short.get(goal, goal)} {de}", "region"
    )


CITY_PLACES = _plain(CITIES, "city")
COUNTRY_PLACES = _plain(COUNTRIES, "country")
REGION_PLACES = tuple(_region(entry) for entry in WITH_ARTICLE.replace("\n", " ").split(","))
SPOT_PLACES = tuple(
    Place(en, en_goal, de, de_goal, "spot")
    for en, en_goal, de, de_goal in (line.split("|") for line in SPOTS.strip().splitlines())
)
