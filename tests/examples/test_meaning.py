"""Small exchanges in which a careless scribe turns the meaning round."""

import pytest

from examples.scribe import listening, proofreading, transcript

pytestmark = pytest.mark.once


def said(*turns: str) -> list[str]:
    """What the scribe may say after these turns; denied findings begin with "denies"."""
    read = transcript.from_text(
        text="\n".join(turns) + "\nDoctor: Okay.\nPatient: Okay.\n", title="exchange"
    )
    return [
        f"{'denies ' if one.denied else ''}{one.text}"
        for one in listening.listen(transcript=read).statements
        if proofreading.is_supported(statement=one, source=read.text)
    ]


class TestAQuestion:
    @pytest.mark.parametrize(
        ("asked", "answered", "expected"),
        [
            ("Any fever?", "No.", ["denies fever"]),
            ("Any fever?", "Yes.", ["reports fever"]),
            ("Any fever or chills?", "No.", ["denies fever or chills"]),
            ("Nausea? Vomiting?", "No, none of that.", ["denies nausea, vomiting"]),
            ("So no chest pain?", "No.", ["denies chest pain"]),
            ("You haven't had any bleeding?", "No, none.", ["denies bleeding"]),
            ("No fever, no night sweats?", "No.", ["denies fever, night sweats"]),
            ("Have you had a cough?", "No, I haven't had a cough.", ["has not had a cough"]),
            ("Do you smoke?", "No.", ["does not smoke"]),
            ("Do you smoke?", "Not any more.", ['does not smoke ("Not any more")']),
            ("You live alone?", "Yes.", ["lives alone"]),
            ("Are your bowels working OK?", "Yeah.", ["bowels are working okay"]),
            ("Are you still dizzy?", "Not any more.", ['is not still dizzy ("Not any more")']),
            ("Can you walk without pain?", "No.", ["can not walk without pain"]),
            ("Any pain in the left arm?", "No, the right arm.", ["denies pain in the left arm, says the right arm"]),
            ("Do you drink?", "No more than two glasses of wine a week.", ["asked whether they drink, says no more than two glasses of wine a week"]),
            ("Any allergies?", "Penicillin. It gives me hives.", ["asked about allergies, says penicillin", "says it gives them hives"]),
            ("Do you have any chest pain?", "I did last week, but not now.", ["asked whether they have any chest pain, says they did last week, but not now"]),
        ],
    )  # fmt: skip
    def test_counts_only_with_its_answer(
        self, asked: str, answered: str, expected: list[str]
    ) -> None:
        assert said(f"Doctor: {asked}", f"Patient: {answered}") == expected

    @pytest.mark.parametrize(
        ("asked", "answered"),
        [
            ("Any fever or chills?", "Yes."),  # which?
            ("So no chest pain?", "Yes."),  # yes, none, or yes, some?
            ("You've not had any bleeding?", "Yes."),
            ("Is it clear, or is it coloured?", "Yeah."),
            ("Any fever?", "Yeah, no."),
            ("Any fever?", "What did you say?"),
            ("Any pain here?", "No."),  # where?
            ("Has the swelling gone down?", "No."),
        ],
    )
    def test_with_an_answer_that_leaves_it_open_says_nothing(
        self, asked: str, answered: str
    ) -> None:
        assert said(f"Doctor: {asked}", f"Patient: {answered}") == []

    def test_without_an_answer_says_nothing(self) -> None:
        assert said("Doctor: Have you had chest pain? Let me take your coat.") == []

    def test_about_allergies_to_medicines_is_not_about_taking_them(self) -> None:
        assert said("Doctor: Any allergies at all? Any medications?", "Patient: No.") == [
            "denies allergies"
        ]

    def test_that_was_not_heard_is_not_answered(self) -> None:
        assert said("Doctor: Any <UNIN/> pain?", "Patient: No.") == []


class TestAPatient:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("I don't have any pain, and I haven't been sick.", ["does not have any pain", "has not been sick"]),
            ("I felt sick but I didn't vomit.", ["felt sick", "did not vomit"]),
            ("I'm worried I might have cancer.", ["is worried they might have cancer"]),
            ("I had asthma as a child.", ["had asthma as a child"]),
            ("My mother had breast cancer and my father had a stroke.", ["mother had breast cancer and their father had a stroke"]),
            ("I stopped taking the ramipril because it made me cough.", ["stopped taking the ramipril because it made them cough"]),
            ("I take 5 mg of amlodipine, not 10.", ["takes 5 mg of amlodipine, not 10"]),
            ("When I don't take the omeprazole I get heartburn.", ["says when they do not take the omeprazole they get heartburn"]),
            ("I was told I might have gout.", ["was told they might have gout"]),
            ("If I walk too far my leg swells up.", ["says if they walk too far their leg swells up"]),
            ("I wake up without any pain.", ["wakes up without any pain"]),
            ("No pain except when I press it.", ["no pain except when they press it"]),
            ("I've never had surgery except my appendix.", ["has never had surgery except their appendix"]),
            ("I do get short of breath, though not at night.", ["does get short of breath, though not at night"]),
            ("I get, um, I get headaches, you know, in the mornings.", ["gets headaches, in the mornings"]),
        ],
    )  # fmt: skip
    def test_keeps_negation_doubt_time_and_person(self, words: str, expected: list[str]) -> None:
        assert said("Doctor: Tell me more.", f"Patient: {words}") == expected

    @pytest.mark.parametrize(
        "words",
        [
            "I'm not sure if it's the season and I'm getting a cold.",
            "She says it hurts.",
            "I have <UNIN/> pain.",
            "I've got <UNSURE>angina</UNSURE>.",
            "You know when you get a fever and your head hurts?",
            "If I get a fever.",
        ],
    )
    def test_who_is_not_understood_is_not_quoted_as_a_finding(self, words: str) -> None:
        for one in said("Doctor: Tell me more.", f"Patient: {words}"):
            assert "not sure if" in one, one

    def test_takes_back_what_was_said_before_the_but(self) -> None:
        assert (
            said(
                "Doctor: Tell me more.",
                "Patient: I have chest pain but <UNIN/> my shoulder I pulled you know.",
            )
            == []
        )

    def test_corrects_the_side(self) -> None:
        told = said(
            "Doctor: So the right knee is hurting, tell me about it.",
            "Patient: It's not the right knee, it's the left knee.",
        )

        assert " ".join(told).endswith("it's not the right knee says it's the left knee")

    def test_speaks_of_another_joint_after_the_clinician_turned_to_it(self) -> None:
        told = said(
            "Doctor: What's new?",
            "Patient: It's the left heel that's new.",
            "Doctor: Let's do the knee first. What's it been like?",
            "Patient: It aches after I've been driving for an hour.",
        )

        assert told == [
            "says it's the left heel that's new",
            "asked about the knee, says it aches after they have been driving for an hour",
        ]


class TestAClinician:
    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ("If you get chest pain, call 999.", ["advised: if the patient gets chest pain, call 999"]),
            ("If you get vomiting and you can't keep fluids down, stop the metformin and call us.", ["advised: if the patient gets vomiting and they can't keep fluids down, stop the metformin and call the team"]),
            ("I don't think you have pneumonia.", ["clinician does not think the patient has pneumonia"]),
            ("I'm worried this might be appendicitis.", ["clinician is worried this might be appendicitis"]),
            ("Stop the ibuprofen and start naproxen 250 mg twice a day.", ["patient asked to stop the ibuprofen and start naproxen 250 mg twice a day"]),
            ("I wouldn't start insulin yet.", ["clinician says the clinician would not start insulin yet"]),
            ("Don't stop the steroids suddenly.", ["advised: don't stop the steroids suddenly"]),
            ("I'm going to increase the lisinopril from 10 mg to 20 mg a day.", ["plan to increase the lisinopril from 10 mg to 20 mg a day"]),
            ("The x-ray doesn't show any fracture.", ["the x-ray doesn't show any fracture"]),
            ("Your left lung is clear but there are crackles on the right.", ["the patient's left lung is clear", "there are crackles on the right"]),
            ("Some people get diarrhea with metformin.", []),
            ("You told me your mother has glaucoma, and you have high blood pressure.", []),
            ("On your right knee exam there is no effusion and no pain of the left knee.", []),
            ("You might get a headache with it.", ["patient might get a headache with it"]),
        ],
    )  # fmt: skip
    def test_advises_judges_and_plans_without_stating_it_as_so(
        self, words: str, expected: list[str]
    ) -> None:
        assert said("Doctor: Hello.", "Patient: Hello.", f"Doctor: {words}") == expected

    def test_is_not_believed_against_the_patient(self) -> None:
        told = said("Doctor: So you have diabetes and asthma.", "Patient: No, just asthma.")

        assert not any("diabetes" in one for one in told)

    def test_is_told_from_the_patient_by_what_is_said_where_the_labels_are_exchanged(self) -> None:
        read = transcript.from_text(
            text=(
                "[patient] do you have any chest pain and have you had any fever\n[doctor] no i feel fine it hurts in my back my wife made me come\n"
                "[patient] let me examine you so your lungs are clear i'm going to prescribe ibuprofen do you smoke\n[doctor] no i've been feeling it for days\n"
            ),
            title="exchanged",
        )

        reading = listening.listen(transcript=read)

        assert reading.cast.exchanged
        assert {str(role) for role in reading.cast.roles.values()} == {"clinician", "patient"}
        assert reading.cast.roles["patient"] == "clinician"
