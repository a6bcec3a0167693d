"""Word lists that say what a clause is about. They sort; they never add a word to a draft.

A word missing here means at worst that a clause is left out.
"""

import re

from examples.scribe.words import listed

SYMPTOMS = listed(
    """earache stomachache toothache backache screaming pulling sleepy ache aches aching achy achey anxious anxiety appetite asleep bleed bleeding blister blisters bloated bloating
    blocked blood bloody blurred blurry breathless breathlessness bruise bruised bruising burn burning bump chills
    choking clammy cold congested congestion constipated constipation cough coughed coughing coughs cracked cramp
    cramping cramps crampy crying dehydrated depressed diarrhea diarrhoea discharge discomfort dizziness dizzy
    drowsy dry dryness exhausted exhaustion faint fainted fainting fatigue fatigued fell fever feverish fevers flare
    flared flushed foggy giddy gives headache headaches heartburn heavy hives hoarse hurt hurting hurts hot
    indigestion infection infections insomnia irritated irritation itch itches itchiness itching itchy jaundice
    jittery labored laboured lethargic lethargy lightheaded light-headed lightheadedness limp limping loose lump
    lumps migraine migraines mood mucus nausea nauseous nauseated nosebleed nosebleeds numb numbness pain painful
    pains palpitation palpitations panic pale paralysis phlegm pimple pins poo pop popped pressure pus racing rash
    rashes redness red restless ringing runny running scab seizure seizures shaky shaking shiver shivering shivers
    short shortness sick sleep sleeping sleepy sneezing snoring snore snores sore soreness spasm spasms spots
    sputum stabbing stiff stiffness stinging stomachache stools stool strain strained stressed stress stuffy swell
    swelling swollen swallow swallowing sweat sweating sweats temperature tender tenderness throbbing throb tight
    tightness tingling tired tiredness tremor trembling twisted ulcer ulcers unsteady unwell urinate toilet loo pink discolouration winded urinating
    urination vertigo vomit vomited vomiting warm warmth watery weak weakness weight wheeze wheezing wheezy worse
    worried worry wound wounds wobbly dripping weeping scabs spotting itches breath breathing breathe constipated heavier lighter irregular clicking catches
    catching locking buckles buckling unsteadiness collapsed collapse blackout blackouts passed snuffly
    lock locks swells heal healed anemic anaemic cracks crack sugar sugars craving leak woozy
    hearing vision eyesight balance memory confused confusion urgency frequency nocturia incontinence leaking
    hungry thirsty thirst low-mood low sad suicide suicidal self-harm harming nightmares gurgling reflux eating feeding drinking crawling steps therapy pounds belching hiccups pee peeing wee weeing"""
)
ACTIVITY = listed(
    "walk walking walked sit sitting stand standing climb climbing stairs lift lifting lifted bend bending move moving movement step"
)
BODY = listed(
    """abdomen abdominal ankle ankles arm arms armpit back belly bladder bone bones bottom bowel bowels breast breasts
    calf calves cheek cheeks chest chin ear ears eardrum eardrums grommets elbow elbows eye eyes eyelid face feet finger fingers fingertip foot
    forearm forehead gland glands groin gum gums hand hands head heart heel heels hip hips jaw joint joints kidney
    kidneys knee knees kneecap leg legs lip lips liver lung lungs mouth muscle muscles nail neck nose nostril palm
    pelvis rib ribs scalp shin shins shoulder shoulders side sides sinus sinuses skin sole spine stomach temple
    testicle urine thigh thighs throat thumb toe toes tongue tonsils tooth teeth tummy vagina waterworks wrist wrists
    nipple buttock bum hamstring achilles ribcage"""
)
CONDITIONS = listed(
    """adenoma adhd allergies allergy anaemia anemia aneurysm angina appendicitis arrhythmia arthritis asthma autism
    bronchitis bursitis cancer cataract cataracts cellulitis chf cirrhosis colitis contusion copd covid crohn's
    cystitis dementia depression dermatitis diabetes diabetic diverticulitis eczema embolism emphysema endometriosis
    epilepsy fibrillation fibroids fibromyalgia flu fracture gallstones gastritis gastroenteritis glaucoma gout
    haemorrhoids hayfever hemorrhoids hepatitis hernia hiv hypercholesterolemia hyperlipidemia hypertension
    hyperthyroidism hypotension hypothyroidism ibs intolerance intolerant lupus lymphoma melanoma meningitis menopause
    murmur neuropathy obesity osteoarthritis osteomyelitis osteoporosis pancreatitis parkinson's pneumonia polyps
    pregnancy pregnant prostate psoriasis regurgitation rheumatoid sarcoidosis schizophrenia sciatica scoliosis shingles sinusitis
    sle sprain stenosis stroke syndrome tendinitis tendonitis tendinopathy thrombosis thyroid tonsillitis tuberculosis tumor tumour
    uti varicose reflux meniscus ligament tendon vertigo virus viral attack failure cholesterol strain ulcer infection tear torn deficiency anxiety
    bronchiectasis concussion conjunctivitis fasciitis impetigo rosacea acne urticaria labyrinthitis preeclampsia
    radiculopathy spondylosis lesion mass disease disorder condition conditions diagnosis bug illness"""
)
DRUG_WORDS = listed(
    """acetaminophen advil albuterol aleve allopurinol amoxicillin anti-inflammatory anti-inflammatories antibiotic
    antibiotics antidepressant antihistamine antihistamines aspirin augmentin benadryl botox bumex bupropion calpol
    capsule capsules codeine contraceptive contraception coumadin cozaar cream creams digoxin dioralyte diuretic
    diuretics dose doses drops eliquis emollient emollients epipen excedrin farxiga flonase furosemide gabapentin
    gel heparin hydrochlorothiazide hydrocodone ibuprofen inhaler inhalers injection injections insulin lasix lexapro
    lipitor lotion lozenges medication medications medicine medicines meds methotrexate microgynon miralax morphine
    motrin mounjaro nasal nitroglycerin norco norvasc nurofen ointment over-the-counter ozempic painkiller
    painkillers paracetamol percocet pill pills piriton plavix prednisone prednisolone prozac pump spray statin
    statins steroid steroids supplement supplements synthroid tablet tablets tramadol trulicity tylenol vaccine
    ventolin viagra vitamin vitamins warfarin xanax xarelto zoloft zyrtec claritin pepcid nexium prilosec omeprazole
    melatonin magnesium iron levothyroxine colchicine clindamycin sumatriptan naproxen voltaren diclofenac celebrex
    coil mini-pill"""
)
DRUG_ENDINGS = re.compile(
    r"\w{3,}(?:pril|olol|statin|sartan|formin|azole|cillin|mycin|micin|prazole|gliptin|gliflozin|glutide|xaban|dipine|"
    r"thiazide|profen|oxicam|zepam|zolam|triptan|codone|oxetine|azepine|gabalin|parin|tidine|tadine|terol|sone|"
    r"solone|olone|floxacin|cycline|oprim|furantoin|fenadine|semide|actone|nidazole|vir|mab|lukast|amine|idone)s?"
)
FAMILY = listed(
    """aunt brother brothers cousin dad dad's daughter family father father's grandad grandads granddad grandfather
    grandma grandmother grandparents gran mother mother's mum mum's mom mom's nan parents relatives siblings sister sisters
    son uncle runs hereditary genetic"""
)
SOCIAL = listed(
    """alcohol alone accountant beer beers boyfriend builder caffeine carer cigarette cigarettes cigars coffee
    computer construction desk developer diet divorced drink drinking drinks driver drugs engineer exercise exercises
    exercising factory farmer farm flatmate flatmates garden gardening girlfriend glasses gym halls hiking house
    housewife husband job jobs jogging joint kids kitchen live lives living machine manager married miles nurse office
    pack partner party pets physical pilates retired run running salt salty school separated shop shopping shops smoke
    smoked smoker smokes smoking sodium sport sports student studying swim swimming teacher teaching tobacco travel
    travelling uni university vape vaping vegan vegetarian walk walking wife widow widowed wine work worked working
    works yoga chips cat cats dog single renovations lifting heavy boxes care home unit units"""
)
PAST = re.compile(
    r"\b(?:in the past|past (?:medical |surgical )?history|medical history|surger(?:y|ies)|operations?|operated|diagnosed with|"
    r"was diagnosed|been diagnosed|taken out|removed|when i was (?:\d+|\w+teen|\w+ty(?:[ -]\w+)?|ten|eleven|twelve|eight|nine|seven|six|five|young|younger|little|a (?:child|kid|girl|boy|teenager|baby))\b|years ago|hospital|admitted|history of|suffer of|"
    r"suffer from|suffer with|transfusion|otherwise|healthy|fit and well|medical (?:problems?|conditions?))\b"
)
TIME = re.compile(
    r"\b(?:days?|weeks?|months?|years?|hours?|minutes?|morning|afternoon|evening|nights?|yesterday|today|tonight|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|weekend|january|february|march|april|june|july|august|"
    r"september|october|november|december|christmas|easter|summer|winter|spring|fall|autumn|ago|since|constant\w*|"
    r"daily|weekly|sometimes|occasional\w*|always|once|twice|every|suddenly|gradually|recently|lately)\b"
)
FINDINGS = listed(
    """affect alert bleeding bruise bruising cellulitis clear clonus color colour compression consolidation contraction
    crackles crepitus cranial crusting deformity deficit deficits distended distention ecchymosis edema oedema effusion
    elevated elevation erythema erythemia erythematous exudate flexion extension fluid fluent gait genitalia grip
    guarding hemianopia hypotonia inflamed inflammation intact lesion lesions lymph lymphadenopathy mass masses
    mobility motor movement movements murmur murmurs necrotic nodes normal nourished odor oriented palpable palpation
    palpate perfused pulse pulses pupils rales rate rebound reflex reflexes respirations rhonchi rhythm
    saturation saturations scaly sensation sensory sloughing soft strength swelling swollen tender tenderness varus
    valgus ventricles vision visual vitals wheeze wheezes wheezing regular redness rash pain painful straight pitting
    bony exposure fever warm discharge distress pallor well-nourished fussy thickened intact cracked dry skin
    bulging inflamed spots perforated enlarged freely full fissure fissures cracks crack scar faded stable bruised irregular ligaments ligament scab pulses nails degrees trace anemic normal negative positive
    acuity high weak weaker stiff drop range raise"""
)
TESTS = re.compile(
    r"\b(?:x-?rays?|mri|ct|cat scan|scans?|ultrasound|echo(?:cardiogram)?|ekg|ecg|labs?|lab work|blood ?work|blood tests?|"
    r"hemoglobin|haemoglobin|a1c|hba1c|cholesterol|creatinine|potassium|sodium level|culture|biops(?:y|ies)|swab|urine (?:test|sample|dip)|"
    r"urinalysis|peak flow|spirometry|pulmonary function|oxygen|readings?|results?|tests?|panel|egfr|kidney function|blood count|endoscopy|"
    r"colonoscopy|mammogram|stress test|monitor|inr|iga|immunoglobulin|tsh|x rays?|hormone profile|serology)\b"
)
MEASURES = re.compile(
    r"\b(?:blood pressure|heart rate|pulse|temperature|oxygen|saturations?|respirations|respiratory rate|vital signs|vitals|"
    r"weight|bmi|sats|oxygenation)\b"
)
UNPLACED = listed("this that these those it them here there one ones thing things such")


def is_drug(low: str) -> bool:
    """The word names a drug or a form of drug."""
    return low in DRUG_WORDS or bool(DRUG_ENDINGS.fullmatch(low))


def counts(lows: list[str]) -> dict[str, int]:
    """How many words of each list are in the clause."""
    return {
        "symptom": sum(low in SYMPTOMS for low in lows),
        "body": sum(low in BODY for low in lows),
        "condition": sum(low in CONDITIONS for low in lows),
        "drug": sum(is_drug(low) for low in lows),
        "family": sum(low in FAMILY for low in lows),
        "social": sum(low in SOCIAL for low in lows),
        "finding": sum(low in FINDINGS for low in lows),
        "activity": sum(low in ACTIVITY for low in lows),
    }
