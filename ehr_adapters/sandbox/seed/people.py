"""Who works in the practice and who is treated there. Everybody is made up."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colleague:
    """One person of the staff; `user` is the sign-in name in the EHR."""

    key: str
    family: str
    given: str
    name: str
    user: str
    role: str
    qualification: str = ""


STAFF = (
    Colleague(
        "prescriber_one",
        "Reyes",
        "Adriana",
        "Dr A. Reyes",
        "areyes",
        "prescriber",
        "MD, family medicine",
    ),
    Colleague(
        "prescriber_two", "Lam", "Jonas", "Dr J. Lam", "jlam", "prescriber", "MD, internal medicine"
    ),
    Colleague("pharmacist", "Vasik", "Milena", "M. Vasik", "mvasik", "pharmacist", "PharmD"),
    Colleague("nurse", "Brandt", "Lena", "L. Brandt", "lbrandt", "nurse", "RN"),
    Colleague("assistant", "Quill", "Sam", "S. Quill", "squill", "assistant", "CMA"),
    Colleague("clerk", "Ferro", "Dario", "D. Ferro", "dferro", "clerk"),
    Colleague("compliance", "Ansah", "Hana", "H. Ansah", "hansah", "compliance"),
    # The account behind a backend service: Epic files a note under it when no author is sent.
    Colleague(
        "background_user", "Interface", "Backend", "Backend interface", "svc-backend", "background"
    ),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit. `start`: minutes from the start of the demo (negative before it), or days before and a time."""

    name: str
    status: str  # planned, in-progress, finished
    start: int | tuple[int, str]
    minutes: int | None  # None: not ended
    reason: str
    clinician: str = "prescriber_one"
    kind: str = "office"  # office, telephone
    locked: bool = False
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """One patient. `born` is a date, or a number of years before the start of the demo."""

    key: str
    family: str
    given: str
    gender: str
    born: str | int
    mrn: str  # in the generic practice
    epic_mrn: str
    street: str
    phone: str
    visits: tuple[Visit, ...]
    prefix: str = ""
    previous_family: str = ""
    died_days_ago: int | None = None
    contacts: tuple[tuple[str, str, str], ...] = ()  # relationship code, display, name


DAY = 24 * 60
_OPEN = ("in-progress", -40, None)

PEOPLE = (
    Person(
        "P1", "OKONKWO", "Ngozi", "female", "1957-03-14", "4471908213", "220744163",
        "14 Larkfield Road", "555-0114",
        (
            Visit("visit", *_OPEN, "Blood pressure follow-up"),
            Visit("august_visit", "finished", (98, "09:00"), 45, "Blood pressure and kidney check"),
        ),
        prefix="Mrs",
    ),
    Person(
        "P2", "OKONKWO", "Ngozi", "female", "1957-04-13", "4471908231", "220744136",
        "3 Tern Close", "555-0177",
        (Visit("visit", "in-progress", -55, None, "Asthma review", clinician="prescriber_two"),),
        prefix="Ms",
    ),
    Person(
        "P3", "MARROWBY", "Ada", "female", 6, "3182264470", "318226447",
        "27 Quarry Hill", "555-0132",
        (Visit("visit", *_OPEN, "Ear pain for two days"),),
        contacts=(("MTH", "mother", "Edith Marrowby"),),
    ),
    Person(
        "P4", "MARROWBY", "Ida", "female", 6, "3182264407", "318226474",
        "27 Quarry Hill", "555-0132",
        (Visit("visit", "in-progress", -20, None, "Ear pain since last night"),),
        contacts=(("MTH", "mother", "Edith Marrowby"),),
    ),
    Person(
        "P5", "HALVORSEN", "Erik", "male", "1949-01-02", "2180045570", "218004557",
        "8 Causeway Street", "555-0158",
        (Visit("visit", *_OPEN, "Anticoagulation call", kind="telephone"),),
        prefix="Mr",
    ),
    Person(
        "P6", "ABDI", "Fatuma", "female", "1984-08-30", "6037712294", "603771229",
        "61 Orchard Lane", "555-0119",
        (Visit("visit", "finished", (1, "14:00"), 50, "Diabetes follow-up"),),
        prefix="Ms",
    ),
    Person(
        "P7", "DASILVA", "Rui", "male", "1955-06-16", "7816650129", "781665012",
        "5 Foundry Row", "555-0163",
        (Visit("visit", *_OPEN, "Back pain, medication renewal", clinician="prescriber_two"),),
        prefix="Mr",
    ),
    Person(
        "P8", "TOLVANNI", "Berit", "female", "1971-10-05", "3301189047", "330118904",
        "19 Elder Court", "555-0141",
        (Visit("visit", *_OPEN, "Type 1 diabetes review"),),
    ),
    Person(
        "P9", "OSTERVANE", "Joram", "male", "1962-02-20", "5594203316", "559420331",
        "102 Harbour Street", "555-0186",
        (Visit("visit", "finished", (4, "15:20"), 30, "Knee pain", locked=True),),
        prefix="Mr",
    ),
    Person(
        "P10", "BRINDLECOTE", "Hesper", "female", "1990-12-01", "9023374461", "902337446",
        "33 Millrace Walk", "555-0128",
        (Visit("visit", "in-progress", -15, None, "Joint pain in pregnancy", kind="telephone"),),
    ),
    Person(
        "P11", "KESTRELWOOD", "Anselm", "male", "1938-07-07", "1449027785", "144902778",
        "2 Almshouse Yard", "555-0109",
        (
            Visit("visit", "in-progress", -30, None, "Weight gain and breathlessness"),
            Visit("morning_visit", "finished", -200, 20, "Blood draw and weight", clinician="prescriber_two"),
        ),
        prefix="Mr",
    ),
    Person(
        "P12", "FEATHERSTONE-OYELARAN-MONTCLAIRE", "Zoë", "other", "1999-02-28", "6610945238", "661094523",
        "47b St. Bride’s Passage", "555-0195",
        (
            Visit("visit", "planned", 6 * DAY, 20, "Thyroid follow-up"),
            Visit("last_visit", "finished", (42, "16:10"), 30, "Tiredness"),
        ),
        prefix="Mx",
    ),
    Person(
        "P13", "PENHALLOW-REX", "Odile", "female", "1966-09-09", "8820417753", "882041775",
        "76 Granary Square", "555-0150",
        (Visit("visit", *_OPEN, "Migraine review"),),
        previous_family="PENHALLOW",
    ),
    Person(
        "P14", "PENHALLOW-REX", "Odile", "female", "1966-09-09", "8820417735", "882041757",
        "76 Granary Sq", "555-0150",
        (Visit("visit", "in-progress", -25, None, "Registered at the walk-in desk", clinician="prescriber_two"),),
    ),
    Person(
        "P15", "WREN-ADEYE", "Lio", "male", 15, "2957163048", "295716304",
        "11 Saltmarsh View", "555-0172",
        (Visit("visit", *_OPEN, "Confidential visit", restricted=True),),
        contacts=(("FTH", "father", "Tunde Adeye"),),
    ),
    Person(
        "P16", "THISTLEBANE", "Corwin", "male", "1944-05-05", "4093821167", "409382116",
        "9 Rope Walk", "555-0103",
        (Visit("visit", "finished", (20, "10:00"), 25, "Blood pressure check"),),
        prefix="Mr",
        died_days_ago=3,
    ),
)  # fmt: skip
