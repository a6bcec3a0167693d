"""The parts of FHIR R4 (4.0.1) that the practice EHR takes: elements, cardinality, types, required codes.

One line a structure: `name:Type`, `*` for a list, `!` for required, `[x]` with its choices after `|`.
A backbone element is a structure of its own, named parent and element. The elements that every resource
has (id, meta, text ...) and every element has (id, extension) are not repeated. A test compares each line
with the structural models of fhir.resources.
"""

RESOURCES = """
Patient identifier:Identifier* active:boolean name:HumanName* telecom:ContactPoint* gender:code birthDate:date deceased[x]:boolean|dateTime address:Address* maritalStatus:CodeableConcept multipleBirth[x]:boolean|integer photo:Attachment* contact:PatientContact* communication:PatientCommunication* generalPractitioner:Reference* managingOrganization:Reference link:PatientLink*
PatientContact relationship:CodeableConcept* name:HumanName telecom:ContactPoint* address:Address gender:code organization:Reference period:Period
PatientCommunication language:CodeableConcept! preferred:boolean
PatientLink other:Reference! type:code!
Practitioner identifier:Identifier* active:boolean name:HumanName* telecom:ContactPoint* address:Address* gender:code birthDate:date photo:Attachment* qualification:PractitionerQualification* communication:CodeableConcept*
PractitionerQualification identifier:Identifier* code:CodeableConcept! period:Period issuer:Reference
Organization identifier:Identifier* active:boolean type:CodeableConcept* name:string alias:string* telecom:ContactPoint* address:Address* partOf:Reference contact:OrganizationContact* endpoint:Reference*
OrganizationContact purpose:CodeableConcept name:HumanName telecom:ContactPoint* address:Address
Location identifier:Identifier* status:code operationalStatus:Coding name:string alias:string* description:string mode:code type:CodeableConcept* telecom:ContactPoint* address:Address physicalType:CodeableConcept position:LocationPosition managingOrganization:Reference partOf:Reference hoursOfOperation:LocationHoursOfOperation* availabilityExceptions:string endpoint:Reference*
LocationPosition longitude:decimal! latitude:decimal! altitude:decimal
LocationHoursOfOperation daysOfWeek:code* allDay:boolean openingTime:time closingTime:time
Encounter identifier:Identifier* status:code! statusHistory:EncounterStatusHistory* class:Coding! classHistory:EncounterClassHistory* type:CodeableConcept* serviceType:CodeableConcept priority:CodeableConcept subject:Reference episodeOfCare:Reference* basedOn:Reference* participant:EncounterParticipant* appointment:Reference* period:Period length:Duration reasonCode:CodeableConcept* reasonReference:Reference* diagnosis:EncounterDiagnosis* account:Reference* hospitalization:EncounterHospitalization location:EncounterLocation* serviceProvider:Reference partOf:Reference
EncounterStatusHistory status:code! period:Period!
EncounterClassHistory class:Coding! period:Period!
EncounterParticipant type:CodeableConcept* period:Period individual:Reference
EncounterDiagnosis condition:Reference! use:CodeableConcept rank:positiveInt
EncounterHospitalization preAdmissionIdentifier:Identifier origin:Reference admitSource:CodeableConcept reAdmission:CodeableConcept dietPreference:CodeableConcept* specialCourtesy:CodeableConcept* specialArrangement:CodeableConcept* destination:Reference dischargeDisposition:CodeableConcept
EncounterLocation location:Reference! status:code physicalType:CodeableConcept period:Period
Condition identifier:Identifier* clinicalStatus:CodeableConcept verificationStatus:CodeableConcept category:CodeableConcept* severity:CodeableConcept code:CodeableConcept bodySite:CodeableConcept* subject:Reference! encounter:Reference onset[x]:dateTime|Age|Period|Range|string abatement[x]:dateTime|Age|Period|Range|string recordedDate:dateTime recorder:Reference asserter:Reference stage:ConditionStage* evidence:ConditionEvidence* note:Annotation*
ConditionStage summary:CodeableConcept assessment:Reference* type:CodeableConcept
ConditionEvidence code:CodeableConcept* detail:Reference*
AllergyIntolerance identifier:Identifier* clinicalStatus:CodeableConcept verificationStatus:CodeableConcept type:code category:code* criticality:code code:CodeableConcept patient:Reference! encounter:Reference onset[x]:dateTime|Age|Period|Range|string recordedDate:dateTime recorder:Reference asserter:Reference lastOccurrence:dateTime note:Annotation* reaction:AllergyIntoleranceReaction*
AllergyIntoleranceReaction substance:CodeableConcept manifestation:CodeableConcept*! description:string onset:dateTime severity:code exposureRoute:CodeableConcept note:Annotation*
MedicationRequest identifier:Identifier* status:code! statusReason:CodeableConcept intent:code! category:CodeableConcept* priority:code doNotPerform:boolean reported[x]:boolean|Reference medication[x]:CodeableConcept|Reference! subject:Reference! encounter:Reference supportingInformation:Reference* authoredOn:dateTime requester:Reference performer:Reference performerType:CodeableConcept recorder:Reference reasonCode:CodeableConcept* reasonReference:Reference* instantiatesCanonical:canonical* instantiatesUri:uri* basedOn:Reference* groupIdentifier:Identifier courseOfTherapyType:CodeableConcept insurance:Reference* note:Annotation* dosageInstruction:Dosage* dispenseRequest:MedicationRequestDispenseRequest substitution:MedicationRequestSubstitution priorPrescription:Reference detectedIssue:Reference* eventHistory:Reference*
MedicationRequestDispenseRequest initialFill:MedicationRequestDispenseRequestInitialFill dispenseInterval:Duration validityPeriod:Period numberOfRepeatsAllowed:unsignedInt quantity:Quantity expectedSupplyDuration:Duration performer:Reference
MedicationRequestDispenseRequestInitialFill quantity:Quantity duration:Duration
MedicationRequestSubstitution allowed[x]:boolean|CodeableConcept! reason:CodeableConcept
MedicationStatement identifier:Identifier* basedOn:Reference* partOf:Reference* status:code! statusReason:CodeableConcept* category:CodeableConcept medication[x]:CodeableConcept|Reference! subject:Reference! context:Reference effective[x]:dateTime|Period dateAsserted:dateTime informationSource:Reference derivedFrom:Reference* reasonCode:CodeableConcept* reasonReference:Reference* note:Annotation* dosage:Dosage*
Observation identifier:Identifier* basedOn:Reference* partOf:Reference* status:code! category:CodeableConcept* code:CodeableConcept! subject:Reference focus:Reference* encounter:Reference effective[x]:dateTime|Period|Timing|instant issued:instant performer:Reference* value[x]:Quantity|CodeableConcept|string|boolean|integer|Range|Ratio|SampledData|time|dateTime|Period dataAbsentReason:CodeableConcept interpretation:CodeableConcept* note:Annotation* bodySite:CodeableConcept method:CodeableConcept specimen:Reference device:Reference referenceRange:ObservationReferenceRange* hasMember:Reference* derivedFrom:Reference* component:ObservationComponent*
ObservationReferenceRange low:Quantity high:Quantity type:CodeableConcept appliesTo:CodeableConcept* age:Range text:string
ObservationComponent code:CodeableConcept! value[x]:Quantity|CodeableConcept|string|boolean|integer|Range|Ratio|SampledData|time|dateTime|Period dataAbsentReason:CodeableConcept interpretation:CodeableConcept* referenceRange:ObservationReferenceRange*
DiagnosticReport identifier:Identifier* basedOn:Reference* status:code! category:CodeableConcept* code:CodeableConcept! subject:Reference encounter:Reference effective[x]:dateTime|Period issued:instant performer:Reference* resultsInterpreter:Reference* specimen:Reference* result:Reference* imagingStudy:Reference* media:DiagnosticReportMedia* conclusion:string conclusionCode:CodeableConcept* presentedForm:Attachment*
DiagnosticReportMedia comment:string link:Reference!
DocumentReference masterIdentifier:Identifier identifier:Identifier* status:code! docStatus:code type:CodeableConcept category:CodeableConcept* subject:Reference date:instant author:Reference* authenticator:Reference custodian:Reference relatesTo:DocumentReferenceRelatesTo* description:string securityLabel:CodeableConcept* content:DocumentReferenceContent*! context:DocumentReferenceContext
DocumentReferenceRelatesTo code:code! target:Reference!
DocumentReferenceContent attachment:Attachment! format:Coding
DocumentReferenceContext encounter:Reference* event:CodeableConcept* period:Period facilityType:CodeableConcept practiceSetting:CodeableConcept sourcePatientInfo:Reference related:Reference*
ServiceRequest identifier:Identifier* instantiatesCanonical:canonical* instantiatesUri:uri* basedOn:Reference* replaces:Reference* requisition:Identifier status:code! intent:code! category:CodeableConcept* priority:code doNotPerform:boolean code:CodeableConcept orderDetail:CodeableConcept* quantity[x]:Quantity|Ratio|Range subject:Reference! encounter:Reference occurrence[x]:dateTime|Period|Timing asNeeded[x]:boolean|CodeableConcept authoredOn:dateTime requester:Reference performerType:CodeableConcept performer:Reference* locationCode:CodeableConcept* locationReference:Reference* reasonCode:CodeableConcept* reasonReference:Reference* insurance:Reference* supportingInfo:Reference* specimen:Reference* bodySite:CodeableConcept* note:Annotation* patientInstruction:string relevantHistory:Reference*
Task identifier:Identifier* instantiatesCanonical:canonical instantiatesUri:uri basedOn:Reference* groupIdentifier:Identifier partOf:Reference* status:code! statusReason:CodeableConcept businessStatus:CodeableConcept intent:code! priority:code code:CodeableConcept description:string focus:Reference for:Reference encounter:Reference executionPeriod:Period authoredOn:dateTime lastModified:dateTime requester:Reference performerType:CodeableConcept* owner:Reference location:Reference reasonCode:CodeableConcept reasonReference:Reference insurance:Reference* note:Annotation* relevantHistory:Reference* restriction:TaskRestriction input:TaskInput* output:TaskOutput*
TaskRestriction repetitions:positiveInt period:Period recipient:Reference*
TaskInput type:CodeableConcept! value[x]:boolean|code|date|dateTime|decimal|integer|string|uri|Attachment|CodeableConcept|Coding|Identifier|Period|Quantity|Reference!
TaskOutput type:CodeableConcept! value[x]:boolean|code|date|dateTime|decimal|integer|string|uri|Attachment|CodeableConcept|Coding|Identifier|Period|Quantity|Reference!
Communication identifier:Identifier* instantiatesCanonical:canonical* instantiatesUri:uri* basedOn:Reference* partOf:Reference* inResponseTo:Reference* status:code! statusReason:CodeableConcept category:CodeableConcept* priority:code medium:CodeableConcept* subject:Reference topic:CodeableConcept about:Reference* encounter:Reference sent:dateTime received:dateTime recipient:Reference* sender:Reference reasonCode:CodeableConcept* reasonReference:Reference* payload:CommunicationPayload* note:Annotation*
CommunicationPayload content[x]:string|Attachment|Reference!
Appointment identifier:Identifier* status:code! cancelationReason:CodeableConcept serviceCategory:CodeableConcept* serviceType:CodeableConcept* specialty:CodeableConcept* appointmentType:CodeableConcept reasonCode:CodeableConcept* reasonReference:Reference* priority:unsignedInt description:string supportingInformation:Reference* start:instant end:instant minutesDuration:positiveInt slot:Reference* created:dateTime comment:string patientInstruction:string basedOn:Reference* participant:AppointmentParticipant*! requestedPeriod:Period*
AppointmentParticipant type:CodeableConcept* actor:Reference required:code status:code! period:Period
CarePlan identifier:Identifier* instantiatesCanonical:canonical* instantiatesUri:uri* basedOn:Reference* replaces:Reference* partOf:Reference* status:code! intent:code! category:CodeableConcept* title:string description:string subject:Reference! encounter:Reference period:Period created:dateTime author:Reference contributor:Reference* careTeam:Reference* addresses:Reference* supportingInfo:Reference* goal:Reference* activity:CarePlanActivity* note:Annotation*
CarePlanActivity outcomeCodeableConcept:CodeableConcept* outcomeReference:Reference* progress:Annotation* reference:Reference detail:CarePlanActivityDetail
CarePlanActivityDetail kind:code instantiatesCanonical:canonical* instantiatesUri:uri* code:CodeableConcept reasonCode:CodeableConcept* reasonReference:Reference* goal:Reference* status:code! statusReason:CodeableConcept doNotPerform:boolean scheduled[x]:Timing|Period|string location:Reference performer:Reference* product[x]:CodeableConcept|Reference dailyAmount:Quantity quantity:Quantity description:string
Goal identifier:Identifier* lifecycleStatus:code! achievementStatus:CodeableConcept category:CodeableConcept* priority:CodeableConcept description:CodeableConcept! subject:Reference! start[x]:date|CodeableConcept target:GoalTarget* statusDate:date statusReason:string expressedBy:Reference addresses:Reference* note:Annotation* outcomeCode:CodeableConcept* outcomeReference:Reference*
GoalTarget measure:CodeableConcept detail[x]:Quantity|Range|CodeableConcept|string|boolean|integer|Ratio due[x]:date|Duration
QuestionnaireResponse identifier:Identifier basedOn:Reference* partOf:Reference* questionnaire:canonical status:code! subject:Reference encounter:Reference authored:dateTime author:Reference source:Reference item:QuestionnaireResponseItem*
QuestionnaireResponseItem linkId:string! definition:uri text:string answer:QuestionnaireResponseItemAnswer* item:QuestionnaireResponseItem*
QuestionnaireResponseItemAnswer value[x]:boolean|decimal|integer|date|dateTime|time|string|uri|Attachment|Coding|Quantity|Reference item:QuestionnaireResponseItem*
Provenance target:Reference*! occurred[x]:Period|dateTime recorded:instant! policy:uri* location:Reference reason:CodeableConcept* activity:CodeableConcept agent:ProvenanceAgent*! entity:ProvenanceEntity* signature:Signature*
ProvenanceAgent type:CodeableConcept role:CodeableConcept* who:Reference! onBehalfOf:Reference
ProvenanceEntity role:code! what:Reference! agent:ProvenanceAgent*
"""

# Task.input and Task.output take the types that an order or a hand-over needs, not all fifty.
DATATYPES = """
Identifier use:code type:CodeableConcept system:uri value:string period:Period assigner:Reference
CodeableConcept coding:Coding* text:string
Coding system:uri version:string code:code display:string userSelected:boolean
Period start:dateTime end:dateTime
Reference reference:string type:uri identifier:Identifier display:string
HumanName use:code text:string family:string given:string* prefix:string* suffix:string* period:Period
ContactPoint system:code value:string use:code rank:positiveInt period:Period
Address use:code type:code text:string line:string* city:string district:string state:string postalCode:string country:string period:Period
Attachment contentType:code language:code data:base64Binary url:url size:unsignedInt hash:base64Binary title:string creation:dateTime
Range low:Quantity high:Quantity
Quantity value:decimal comparator:code unit:string system:uri code:code
Annotation author[x]:Reference|string time:dateTime text:markdown!
Dosage sequence:integer text:string additionalInstruction:CodeableConcept* patientInstruction:string timing:Timing asNeeded[x]:boolean|CodeableConcept site:CodeableConcept route:CodeableConcept method:CodeableConcept doseAndRate:DosageDoseAndRate* maxDosePerPeriod:Ratio maxDosePerAdministration:Quantity maxDosePerLifetime:Quantity
Timing event:dateTime* repeat:TimingRepeat code:CodeableConcept
TimingRepeat bounds[x]:Duration|Range|Period count:positiveInt countMax:positiveInt duration:decimal durationMax:decimal durationUnit:code frequency:positiveInt frequencyMax:positiveInt period:decimal periodMax:decimal periodUnit:code dayOfWeek:code* timeOfDay:time* when:code* offset:unsignedInt
DosageDoseAndRate type:CodeableConcept dose[x]:Range|Quantity rate[x]:Ratio|Range|Quantity
Ratio numerator:Quantity denominator:Quantity
SampledData origin:Quantity! period:decimal! factor:decimal lowerLimit:decimal upperLimit:decimal dimensions:positiveInt! data:string
Signature type:Coding*! when:instant! who:Reference! onBehalfOf:Reference targetFormat:code sigFormat:code data:base64Binary
Age value:decimal comparator:code unit:string system:uri code:code
Duration value:decimal comparator:code unit:string system:uri code:code
"""

# Codes of required bindings, by structure and element. A CodeableConcept must carry one of them.
CODES = {
    "Identifier.use": "usual official temp secondary old",
    "HumanName.use": "usual official temp nickname anonymous old maiden",
    "ContactPoint.system": "phone fax email pager url sms other",
    "ContactPoint.use": "home work temp old mobile",
    "Address.use": "home work temp old billing",
    "Quantity.comparator": "< <= >= >",
    "TimingRepeat.durationUnit": "s min h d wk mo a",
    "TimingRepeat.periodUnit": "s min h d wk mo a",
    "TimingRepeat.dayOfWeek": "mon tue wed thu fri sat sun",
    "Patient.gender": "male female other unknown",
    "PatientLink.type": "replaced-by replaces refer seealso",
    "Practitioner.gender": "male female other unknown",
    "Encounter.status": "planned arrived triaged in-progress onleave finished cancelled entered-in-error unknown",
    "Condition.clinicalStatus": "active recurrence relapse inactive remission resolved",
    "Condition.verificationStatus": "unconfirmed provisional differential confirmed refuted entered-in-error",
    "AllergyIntolerance.clinicalStatus": "active inactive resolved",
    "AllergyIntolerance.verificationStatus": "unconfirmed confirmed refuted entered-in-error",
    "AllergyIntolerance.type": "allergy intolerance",
    "AllergyIntolerance.category": "food medication environment biologic",
    "AllergyIntolerance.criticality": "low high unable-to-assess",
    "AllergyIntoleranceReaction.severity": "mild moderate severe",
    "MedicationRequest.status": (
        "active on-hold cancelled completed entered-in-error stopped draft unknown"
    ),
    "MedicationRequest.intent": (
        "proposal plan order original-order reflex-order filler-order instance-order option"
    ),
    "MedicationRequest.priority": "routine urgent asap stat",
    "MedicationStatement.status": (
        "active completed entered-in-error intended stopped on-hold unknown not-taken"
    ),
    "Observation.status": "registered preliminary final amended corrected cancelled entered-in-error unknown",
    "DiagnosticReport.status": (
        "registered partial preliminary final amended corrected appended cancelled entered-in-error unknown"
    ),
    "DocumentReference.status": "current superseded entered-in-error",
    "DocumentReference.docStatus": "preliminary final amended entered-in-error",
    "DocumentReferenceRelatesTo.code": "replaces transforms signs appends",
    "ServiceRequest.status": "draft active on-hold revoked completed entered-in-error unknown",
    "ServiceRequest.intent": (
        "proposal plan directive order original-order reflex-order filler-order instance-order option"
    ),
    "ServiceRequest.priority": "routine urgent asap stat",
    "Task.status": (
        "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed "
        "entered-in-error"
    ),
    "Task.intent": (
        "unknown proposal plan order original-order reflex-order filler-order instance-order option"
    ),
    "Task.priority": "routine urgent asap stat",
    "Communication.status": (
        "preparation in-progress not-done on-hold stopped completed entered-in-error unknown"
    ),
    "Communication.priority": "routine urgent asap stat",
    "Appointment.status": (
        "proposed pending booked arrived fulfilled cancelled noshow entered-in-error checked-in waitlist"
    ),
    "AppointmentParticipant.status": "accepted declined tentative needs-action",
    "CarePlan.status": "draft active on-hold revoked completed entered-in-error unknown",
    "CarePlan.intent": "proposal plan order option",
    "Goal.lifecycleStatus": (
        "proposed planned accepted active on-hold completed cancelled entered-in-error rejected"
    ),
    "QuestionnaireResponse.status": "in-progress completed amended entered-in-error stopped",
    "ProvenanceEntity.role": "derivation revision quotation source removal",
}
