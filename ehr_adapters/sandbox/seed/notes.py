"""The notes in the charts, in the practice's own words. Every patient, visit and finding is made up."""

from dataclasses import dataclass

PROGRESS = ("11506-3", "Progress note")
HISTORY = ("34117-2", "History and physical note")
CONSULT = ("11488-4", "Consult note")
DISCHARGE = ("18842-5", "Discharge summary")
NURSE = ("34746-8", "Nurse Note")
TELEPHONE = ("34748-4", "Telephone encounter Note")


@dataclass(frozen=True, slots=True)
class Note:
    """One note. `state`: signed, unsigned, superseded (by the note named in `by`), pdf."""

    name: str
    type: tuple[str, str]
    days_ago: int
    time: str
    author: str
    state: str
    text: str
    visit: str = ""
    by: str = ""


NOTES: dict[str, tuple[Note, ...]] = {
    "P1": (
        Note(
            "august_note", PROGRESS, 98, "09:40", "prescriber_one", "signed",
            """Subjective
Comes for blood pressure and kidney check. Feels well. Takes lisinopril 10 mg every morning and rarely misses a dose. Uses ibuprofen two or three times a week for her shoulder. No chest pain, no breathlessness. Penicillin gave her a rash as a young woman.

Objective
Blood pressure 148/90 mmHg seated, repeated 146/88. Weight 78.9 kg. Heart sounds normal, lungs clear, no ankle edema. Potassium 4.9 mmol/L, creatinine 1.10 mg/dL, eGFR 52 mL/min/1.73 m2.

Assessment and plan
Hypertensive chronic kidney disease, stage 3. Pressure above the goal of 130/80. Advised to stop ibuprofen and use acetaminophen for the shoulder. Home readings for two weeks before the next visit. Continue lisinopril 10 mg once daily. Repeat blood tests in three months.
""",
            visit="august_visit",
        ),
        Note(
            "draft_note", PROGRESS, 1, "17:05", "prescriber_one", "unsigned",
            """Assessment and plan
Hypertension, above target on lisinopril 10 mg once daily. Continue current dose. Denies cough or dizziness. Repeat basic metabolic panel in 3 months.
""",
            visit="visit",
        ),
        Note(
            "telephone_note", TELEPHONE, 12, "16:20", "prescriber_two", "unsigned",
            """Telephone call
Mrs Okonkwo rang about her home readings while Dr Reyes was away: 150/90 to 156/94 on most mornings. No headache, no visual change. Told to bring the written list to her visit and to ring at once for chest pain or a reading over 180. No change to medicines made by telephone.
""",
        ),
        Note(
            "nurse_note_first", NURSE, 98, "09:10", "nurse", "superseded",
            """Blood pressure 184/90 mmHg, left arm, seated after five minutes. Weight 78.9 kg.
""",
            visit="august_visit", by="nurse_note",
        ),
        Note(
            "nurse_note", NURSE, 98, "09:22", "nurse", "signed",
            """Correction of the note of 09:10: blood pressure was 148/90 mmHg (typed in error as 184/90), left arm, seated after five minutes. Weight 78.9 kg.
""",
            visit="august_visit",
        ),
        Note(
            "nephrology_letter", CONSULT, 275, "12:00", "Riverside Kidney Clinic", "pdf",
            """Riverside Kidney Clinic
Letter about a shared patient: OKONKWO, Ngozi, born 14 March 1957
Chronic kidney disease, most likely hypertensive. eGFR 55, urine albumin/creatinine 42 mg/g.
Suggest: blood pressure goal below 130/80, avoid NSAIDs, ACE inhibitor to the tolerated dose,
potassium and creatinine one to two weeks after each change.
No further visit here unless eGFR falls below 45.""",
        ),
    ),
    "P2": (
        Note(
            "asthma_note", PROGRESS, 160, "11:15", "prescriber_two", "signed",
            """Subjective
Asthma since childhood. Uses the albuterol inhaler about once a week, more in the pollen season. Wakes at night less than once a month. Severe reaction to latex gloves in 2011 with throat swelling; carries a card.

Objective
Oxygen saturation 98 % on room air. A few wheezes at the end of forced expiration.

Assessment and plan
Asthma, well controlled. Technique checked with the placebo inhaler. Written action plan given. LATEX-FREE room and gloves at every visit. Review in six months.
""",
        ),
        Note(
            "pre_visit_note", NURSE, 0, "08:05", "nurse", "unsigned",
            """Room prepared latex-free. Saturation 97 %. Says that she used her inhaler every day last week after a cold.
""",
        ),
    ),
    "P3": (
        Note(
            "reaction_note", PROGRESS, 366, "10:40", "prescriber_one", "signed",
            """Subjective
Brought back by her mother on the second day of amoxicillin for otitis media. Within twenty minutes of the third dose: hives all over, swollen lips, hoarse cry. Epinephrine given by the ambulance crew.

Assessment and plan
Anaphylaxis to amoxicillin. Stopped. Otitis resolved without further antibiotic. Auto-injector prescribed by the hospital. Ada has an identical twin, Ida, who has taken amoxicillin without trouble: CHECK THE GIVEN NAME.
""",
        ),
        Note(
            "triage_note", NURSE, 0, "08:20", "nurse", "unsigned",
            """Ada, 6 years. Right ear pain for two days, temperature 38.4 Cel. Weight today 18.2 kg. Mother repeats: amoxicillin caused anaphylaxis.
""",
            visit="visit",
        ),
    ),
    "P4": (
        Note(
            "otitis_note", PROGRESS, 260, "11:00", "prescriber_one", "signed",
            """Subjective
Left ear pain and fever since yesterday. No known allergies. Her twin sister Ada reacted badly to amoxicillin; Ida has had it twice without trouble.

Objective
Weight 21.1 kg. Left eardrum red and bulging.

Assessment and plan
Acute otitis media, left. Amoxicillin suspension 400 mg per 5 mL, 8 mL twice daily for 7 days. Return if not better in 48 hours.
""",
        ),
        Note(
            "triage_note", NURSE, 0, "08:35", "nurse", "unsigned",
            """Ida, 6 years. Ear pain since last night, temperature 37.9 Cel. Weight today 22.4 kg. No known allergies.
""",
            visit="visit",
        ),
    ),
    "P5": (
        Note(
            "anticoagulation_note", PROGRESS, 30, "11:20", "prescriber_one", "signed",
            """Anticoagulation
Atrial fibrillation, warfarin 5 mg every evening (35 mg a week). INR 2.3, goal 2.0 to 3.0. No bleeding, no missed doses. Same dose. INR in two weeks.
""",
        ),
        Note(
            "pharmacist_note", TELEPHONE, 16, "15:45", "pharmacist", "signed",
            """Telephone call
INR 1.9, slightly under the goal. Says that he has missed nothing. Dose kept at 35 mg a week, repeat in two weeks. To ring before starting anything new, shop-bought products included.
""",
        ),
        Note(
            "call_note", TELEPHONE, 1, "09:50", "prescriber_two", "unsigned",
            """Telephone call
INR 1.7 yesterday's sample. Two readings going down. Not missed any. Mentions new "vitamin drinks" for two weeks; brand not known.
""",
        ),
    ),
    "P6": (
        Note(
            "october_note", PROGRESS, 48, "14:30", "prescriber_one", "signed",
            """Subjective
Type 2 diabetes. Takes metformin 500 mg twice daily with meals. Some nausea in the first weeks, gone now. Walks to work.

Assessment and plan
HbA1c 7.7 % in the last check. If HbA1c stays above 7.5 %, go to 1,000 mg twice daily. Foot examination normal. Eye screening booked.
""",
        ),
        Note(
            "visit_note", PROGRESS, 1, "15:05", "prescriber_one", "signed",
            """Subjective
Follow-up of type 2 diabetes. HbA1c 7.9 %. Reports nausea again since a stomach upset last week, better now.

Objective
Blood pressure 138/84 mmHg, weight 81.7 kg.

Assessment and plan
Above the goal of 7.5 %. Discussed a higher dose of metformin; decision with Dr Lam after the stomach has settled.
""",
            visit="visit",
        ),
        Note(
            "dietitian_note", CONSULT, 20, "10:00", "assistant", "unsigned",
            """Diet talk with the group. Interested in cooking class. Wants written recipes.
""",
        ),
        Note(
            "eye_report", CONSULT, 130, "09:00", "Harbour Eye Centre", "pdf",
            """Harbour Eye Centre
Retinal screening: ABDI, Fatuma, born 30 August 1984
Both eyes: no diabetic retinopathy. Visual acuity 20/20 and 20/25.
Next screening in 12 months.""",
        ),
    ),
    "P7": (
        Note(
            "pain_note", PROGRESS, 95, "13:10", "prescriber_two", "signed",
            """Subjective
Low back pain since 2016. HYDROmorphone 2 mg up to three times daily keeps him working in the garden. No sedation, bowels regular with senna.

Assessment and plan
Chronic low back pain. Continue hydromorphone 2 mg. Agreement renewed, state registry checked, no other prescriber. Next review in three months.
""",
        ),
        Note(
            "outside_list", DISCHARGE, 60, "18:00", "Riverside Hospital", "pdf",
            """Riverside Hospital, discharge list
DASILVA, Rui, born 16 June 1955. Stay of two days, kidney stone.
Medicines at discharge:
1. morphine extended-release 15 mg every 12 hours
2. tamsulosin 0.4 mg at night for 14 days
Family doctor to review pain medicines.""",
        ),
        Note(
            "refill_request", TELEPHONE, 2, "10:25", "assistant", "unsigned",
            """Message taken: would like "the stronger one" again, four instead of two, until the weekend. Told that the doctor decides at the visit.
""",
        ),
    ),
    "P8": (
        Note(
            "diabetes_note", PROGRESS, 96, "09:30", "prescriber_one", "signed",
            """Subjective
Type 1 diabetes since 1989. Insulin glargine 18 units at night, lispro by counting. Two readings under 70 mg/dL last month, both after gardening.

Assessment and plan
HbA1c 7.3 %. Same doses: glargine 18 units (eighteen) at night. Snack before gardening. Sensor data uploaded.
""",
        ),
        Note(
            "pharmacist_question", NURSE, 7, "12:15", "pharmacist", "unsigned",
            """Pen needles changed to 4 mm. Asks whether a decimal point may be left out of the dose line: a colleague once read 18.0 as 180.
""",
        ),
    ),
    "P9": (
        Note(
            "knee_note", PROGRESS, 4, "15:50", "prescriber_one", "signed",
            """Subjective
Pain in the right knee for two years, worse on stairs. Left knee quiet. Naproxen helps for half a day.

Objective
Right knee: small effusion, crepitus, full extension, flexion to 115 degrees. Left knee normal.

Assessment and plan
Osteoarthritis of the RIGHT knee. Physical therapy for the right knee. X-ray of the right knee, standing, if no better in six weeks.
""",
            visit="visit",
        ),
        Note(
            "therapy_request", CONSULT, 3, "08:40", "assistant", "unsigned",
            """Referral text prepared for physical therapy, knee. Side to be filled in by the doctor.
""",
        ),
    ),
    "P10": (
        Note(
            "rheumatology_note", CONSULT, 240, "10:30", "prescriber_two", "signed",
            """Subjective
Rheumatoid arthritis, quiet for a year on methotrexate 15 mg ONCE A WEEK. Planning a pregnancy.

Assessment and plan
Methotrexate stopped today; wait three months before conceiving. Folic acid 5 mg daily. Flares: ring, do not restart from the old box.
""",
        ),
        Note(
            "emergency_report", CONSULT, 31, "22:10", "Riverside Hospital", "signed",
            """Emergency department
Short of breath for one day, 18 weeks pregnant. Scan: no evidence of pulmonary embolism. Oxygen saturation 98 %. Sent home with advice.
""",
        ),
        Note(
            "prenatal_note", PROGRESS, 9, "13:30", "prescriber_one", "signed",
            """Subjective
Pregnant, first child, 21 weeks by dates. Hands stiff in the morning for half an hour. Family: her mother had breast cancer at 52. She herself has no breast complaint.

Assessment and plan
Growth as expected. Hemoglobin 11.4 g/dL, iron advice. Joints: acetaminophen; no methotrexate in pregnancy.
""",
        ),
        Note(
            "call_prep", TELEPHONE, 0, "07:55", "nurse", "unsigned",
            """Rang at 07:50: wrists swollen since yesterday, asks whether she can take "the weekly tablets" again. Call back by Dr Reyes today.
""",
        ),
    ),
    "P11": (
        Note(
            "heart_note", PROGRESS, 33, "09:15", "prescriber_one", "signed",
            """Subjective
After three days in St. Osric Hospital for fluid overload. Breathing easier. Sleeps on two pillows. Ankles swollen by evening. Takes what is in the box his daughter fills.

Objective
Weight 68.0 kg. Pulse 60, irregular. Fine crackles at both bases. eGFR 25, potassium 5.2 mmol/L.

Assessment and plan
Heart failure with chronic kidney disease stage 4. Furosemide 40 mg every morning. Daughter to bring the box: the hospital list says Lasix, ours says furosemide, and he may be taking both. Digoxin level was under the limit in the summer. Weigh daily.
""",
        ),
        Note(
            "weight_note", NURSE, 0, "06:30", "nurse", "unsigned",
            """Blood drawn. Weight 71.2 kg, three kilograms more than last month. Brought the box: two different tablets in the morning slot, to be identified.
""",
            visit="morning_visit",
        ),
        Note(
            "discharge_first", DISCHARGE, 36, "14:00", "St. Osric Hospital", "superseded",
            """Discharge summary (preliminary)
Heart failure, fluid overload. Discharged on furosemide 40 mg, apixaban 5 mg twice daily, digoxin 125 mcg.
""",
            by="discharge_summary",
        ),
        Note(
            "discharge_summary", DISCHARGE, 33, "08:00", "St. Osric Hospital", "signed",
            """Discharge summary (final)
Heart failure, fluid overload, chronic kidney disease. Discharged on Lasix 40 mg every morning, apixaban 5 mg twice daily, digoxin 125 mcg once daily, gabapentin 300 mg three times daily, metformin 500 mg twice daily. Kidney function to be checked in one week; doses of apixaban, gabapentin and metformin to be reviewed for an eGFR of 25.
""",
        ),
    ),
    "P12": (
        Note(
            "thyroid_note", PROGRESS, 42, "16:40", "prescriber_one", "signed",
            """Subjective
Zoë (they/them) feels “wrapped in cotton wool”: tired for ≥ 3 months, cold hands, dry skin. Weight up 2½ kg.

Objective
TSH 9.8 m[IU]/L (normal 0.4–4.0). Pulse 58/min. Reflexes slow.

Assessment and plan
Hypothyroidism, new. Levothyroxine 75 µg each morning, ½ hour before food. Repeat TSH in 6–8 weeks; goal ≤ 4.0 m[IU]/L. “Don’t take it with coffee or iron.”
""",
            visit="last_visit",
        ),
        Note(
            "portal_question", TELEPHONE, 8, "12:05", "nurse", "unsigned",
            """Wrote that they take the tablet with breakfast because of the bus. Told: ½ hour before food is better; µg and mg are not the same, keep the box.
""",
        ),
    ),
    "P13": (
        Note(
            "migraine_note", PROGRESS, 120, "10:50", "prescriber_one", "signed",
            """Subjective
Two to three attacks a month, fewer since topiramate. Tingling in the fingers, bearable. Sumatriptan gave her chest tightness in 2012: not again.

Assessment and plan
Migraine without aura. Topiramate 50 mg twice daily, continue. Diary.
""",
        ),
        Note(
            "records_note", NURSE, 1, "09:00", "clerk", "unsigned",
            """Two records may belong to this patient: another Odile Penhallow-Rex with the same birth date was registered at the walk-in desk. Sent to health records.
""",
        ),
    ),
    "P14": (
        Note(
            "walk_in_note", PROGRESS, 25, "18:20", "prescriber_two", "signed",
            """Walk-in
Severe headache since noon, known migraine, says she takes "something with T". Neurological examination normal. Metoclopramide and rest. To see her own doctor.
""",
        ),
        Note(
            "desk_note", NURSE, 25, "17:40", "clerk", "unsigned",
            """No card with her. Registered as new.
""",
        ),
    ),
    "P15": (
        Note(
            "asthma_note", PROGRESS, 210, "15:15", "prescriber_one", "signed",
            """Subjective
Here with his father. Mild asthma, inhaler before football. No night symptoms.

Assessment and plan
Mild intermittent asthma. Inhaler technique good. Review in a year.
""",
        ),
        Note(
            "confidential_note", PROGRESS, 0, "08:10", "prescriber_one", "unsigned",
            """Confidential visit, without parent
Asked for a test after unprotected intercourse two weeks ago. No symptoms. Urine sample sent. Wants the result by telephone to his own number, nothing to the family account.
""",
            visit="visit",
        ),
    ),
    "P16": (
        Note(
            "pressure_note", PROGRESS, 20, "10:20", "prescriber_one", "signed",
            """Subjective
Feels his age. Walks to the harbour and back. No chest pain.

Objective
Blood pressure 150/84 mmHg. Weight 73.0 kg.

Assessment and plan
High blood pressure, goal 150 systolic at his age. Amlodipine 5 mg once daily, refill when due.
""",
            visit="visit",
        ),
        Note(
            "death_notice", NURSE, 3, "16:00", "clerk", "unsigned",
            """His son rang: Mr Thistlebane died at home this morning. Record marked. Appointments and refills to be cancelled.
""",
        ),
    ),
}  # fmt: skip
