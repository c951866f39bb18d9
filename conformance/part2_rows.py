# SPDX-License-Identifier: Apache-2.0
"""The rows of part2.py: a section, what it asks in our own words, what decides it, and what shows that. As of 89 FR 12472."""
from typing import NamedTuple

RULES, CODE, PEOPLE, NOT_YET = "rules", "code", "people", "not yet"


class Row(NamedTuple):
    section: str
    asks: str
    way: str  # who or what does it
    rules: tuple = ()
    shown: tuple = ()  # of (kind, name)
    note: str = ""


def scenario(*titles):
    return tuple(("scenario", title) for title in titles)


def unit(*names):
    return tuple(("unit", name) for name in names)


def story(*paths):
    return tuple(("story", path) for path in paths)


CONSENT = ("part2-needs-consent",)

PART2 = [
    Row("2.1", "The authority for the part", PEOPLE, note="asks nothing of anybody."),
    Row("2.2", "The rules limit disclosure and compel none: a permission never overrides a denial, of the patient or of a stricter law",
        CODE, shown=scenario("2.2. What the patient denied stays behind, though another consent of his permits it.")
        + unit("decide_test: adding_a_class_or_a_denial_never_reveals_more"), note="Denials are rules of no file: the patient's word counts."),
    Row("2.3", "Penalties; who has used diligence can show it", CODE, shown=unit("ledger_test: test_append_read_reopen"),
        note="Every decision is in the ledger with the policy's generation before the first byte leaves."),
    Row("2.4", "Complaints of violations", PEOPLE, note="the program's process; the ledger answers what was disclosed to whom."),
    Row("2.11 programs", "What a program, a record and a patient are", CODE,
        shown=unit("programs_test: what_is_added_is_named", "origin_test: visits") + story("tests/scenario/75_programs.py"),
        note="The table of programs says who is one (docs/programs.md)."),
    Row("2.11 counseling notes", "SUD counseling notes are those kept apart, and not medication, tests or summaries", CODE,
        shown=unit("notes_test: each_alone"), note="Told by type or folder, never by words."),
    Row("2.12(a)", "Protection goes by who made a record, not by its codes", RULES, CONSENT,
        scenario("An opioid diagnosis of a primary care clinic is no Part 2 record, and needs no Part 2 consent.",
                 "The same without a consent.", "2.12(a). An opioid diagnosis of a source nobody knows is handled as a program's.")
        + story("tests/scenario/71_origins.py")),
    Row("2.12(b)", "Which programs are federally assisted", PEOPLE, note="whoever keeps the table of programs."),
    Row("2.12(c)(1)-(2)", "Records of the VA and of the armed forces follow a law of their own", PEOPLE,
        note="labels that say so are kept and passed on; the table of programs does not name such sources."),
    Row("2.12(c)(3)", "Within a program, and whoever has administrative control of it, no consent is needed", RULES, CONSENT,
        scenario("Staff of the program need no consent for the program's own records.", "The program's own front desk knows.",
                 "2.12(c)(3). Staff of another program are not staff of this one.",
                 "2.12(c)(3). Staff of the program have its records for treatment, payment and operations, and for nothing else.")),
    Row("2.12(c)(4)", "A qualified service organization has the records of the program it serves, under an agreement that names the service",
        RULES, CONSENT,
        scenario("A qualified service organization has the records of the program that it serves, under an agreement that names the service.",
                 "Not under one that names no service.", "Not for another program's records, nor once the agreement has ended.",
                 "2.12(c)(4). To a service organization that is no party of this house nothing goes by itself."),
        note="The registry of clients has the agreements, with their services and their ends."),
    Row("2.12(c)(5)", "A crime on the premises, or a threat of one, may be reported with its circumstances", PEOPLE,
        note="staff reports it; nothing goes by itself."),
    Row("2.12(c)(6)", "A first report of child abuse may be made as state law wants", PEOPLE, note="staff makes it; nothing goes by itself."),
    Row("2.12(d)(1)", "No record, by whomever held, is used in proceedings against the patient", RULES,
        ("part2-no-proceedings",),
        scenario("A TPO consent does not reach proceedings against the patient.", "But not into proceedings against the patient.",
                 "Nor for proceedings against him.") + unit("invariants_test: the_shipped_ones_can_break")),
    Row("2.12(d)(2)(i)(C)", "A covered entity that received records under a TPO consent need not keep them apart, and may pass them on",
        RULES, ("part2-received-goes-on-as-hipaa-permits",),
        scenario("What another's program sent on a TPO consent goes on to who treats, without a consent of its own.",
                 "A partner in the exchange gets what another's program sent on a TPO consent.")
        + unit("origin_test: received_records")),
    Row("2.12(d)(2)(ii)", "What a provider who is no program writes of a patient's substance use is no Part 2 record", CODE,
        shown=scenario("An opioid diagnosis of a primary care clinic is no Part 2 record, and needs no Part 2 consent.")
        + unit("origin_test: names"), note="A code never makes a record a program's."),
    Row("2.13(a)", "No more than the purpose needs", RULES, ("health-plan-sees-what-it-pays-for", "free-text-stays", "unread-attachments-stay"),
        scenario("2.13(a). The plan gets a program's claim on a TPO consent, and none of its words.", "Nor scans.")),
    Row("2.13(c)", "That somebody is a program's patient is not told, and a refusal tells nothing", RULES, CONSENT,
        scenario("That somebody is a program's patient is not told to who treats him, without a consent.",
                 "Registration does not see that somebody is a program's patient.")
        + unit("exchange_test: withheld_is_absent_byte_for_byte") + story("tests/scenario/98_twins.py", "tests/scenario/74_presence.py")),
    Row("2.14", "A minor who may seek care alone consents alone, toward parents too", RULES, ("self-consented-care-stays-from-representatives",),
        scenario("2.14. A parent does not see what his child sought alone, be it on a general authorization.",
                 "2.14. On a consent of the child's for a program's records he does."), note="The register says which care that was."),
    Row("2.15", "Who consents for those who cannot, and for the dead", CODE, shown=unit("directive_test: test_elements"),
        note="One whom neither the patient nor a representative signed counts for payment alone; whether a representative may, people see."),
    Row("2.16(a)", "Records are kept securely", CODE, shown=unit("worker_test: refuses_weak_or_foreign_tls", "seal_test: what_is_sealed_opens_for_its_context_only")
        + story("tests/scenario/81_tokens.py"), note="TLS, sealed cursors, no identifier in a log; the rest is the house's security."),
    Row("2.16(b)", "Breaches are notified as under HIPAA", PEOPLE, note="the officer's; the ledger says what went to whom under which policy."),
    Row("2.17", "No undercover agents or informants in programs", PEOPLE, note="the program's to see to."),
    Row("2.18", "No cards that identify a patient are asked for", PEOPLE, note="the program's to see to."),
    Row("2.19", "What becomes of records when a program ends", PEOPLE,
        note="the program's to see to; the table of programs takes an end date, and its records stay protected."),
    Row("2.20", "State law may forbid more, and permits nothing that the part forbids", CODE,
        shown=story("tests/scenario/17_state_packs.py"), note="Packs of states only withhold (states/)."),
    Row("2.21", "Research subjects are protected by other federal laws too", PEOPLE, note="which of two laws binds is counsel's to say."),
    Row("2.22", "The patient is told of his rights at admission", PEOPLE, note="the program's notice."),
    Row("2.23", "The patient's own access needs no consent, counseling notes kept apart aside", RULES,
        CONSENT + ("patient-sees-his-record", "sud-counseling-notes-need-their-own"),
        scenario("The patient sees the program's record of himself.", "But not the counseling notes that are kept apart.",
                 "A patient does not read another's.")),
    Row("2.24", "An intermediary lists for the patient whom it disclosed to in three years", CODE,
        shown=unit("accounting_test: an_intermediary_lists_consents_alone") + story("tests/scenario/78_accounting.py"),
        note="`sluice ledger accounting --intermediary`, with the day by which the answer is due."),
    Row("2.25", "An accounting of what was disclosed on consent", RULES, CONSENT,
        scenario("2.32. Each release of a program's record on a consent carries statement, scope and accounting.")
        + unit("decide_test: duties_come_from_the_rules_relied_on", "accounting_test: five_of_which_one_is_too_old")
        + story("tests/scenario/78_accounting.py"),
        note="`sluice ledger accounting`."),
    Row("2.26(a)(6)", "What was paid for in full does not reach the health plan, if the patient asked for that", RULES,
        ("self-pay-stays-from-the-plan",),
        scenario("The plan does not get the claim of a visit that the patient paid for himself.", "Nor a program's, on a TPO consent.",
                 "Who treats the patient sees the visit, whoever paid, and is told not to pass it to the plan.")
        + story("tests/scenario/73_register.py")),
    Row("2.26(a)", "Other restrictions that the program agreed to bind, but in an emergency", RULES, ("agreed-restrictions-bind",),
        scenario("What the house agreed to keep from a partner stays from him.", "In an emergency it goes, agreed or not.")),
    Row("2.31(a)", "A consent has all its elements, or is none; the form says what every form must", CODE,
        shown=unit("directive_test: test_elements", "directive_test: test_whole", "directive_test: test_tpo"),
        note="`needs` and `forms` of the policy say which; `sluice consent show` tells what one lacks."),
    Row("2.31(b)", "Counseling notes kept apart need a consent made for them alone, but of who wrote them", RULES,
        ("sud-counseling-notes-need-their-own", "who-wrote-a-note-reads-it"),
        scenario("A counseling note stays behind on a TPO consent.",
                 "With its own consent beside the other, a counseling note goes to the treating provider.",
                 "A consent for counseling notes alone does not open the rest of the program's record.",
                 "2.31(b). A consent for counseling notes is none for a psychotherapy note.", "2.31(b). Who wrote a counseling note reads it.")),
    Row("2.31(c)", "Nothing goes on a consent that has expired or was revoked", CODE,
        shown=unit("directive_test: test_periods", "directive_test: test_settle") + story("tests/scenario/50_changes.py"),
        note="A revocation counts for every answer not yet begun."),
    Row("2.31(d)", "A consent to use in proceedings is combined with no other", RULES, CONSENT + ("part2-no-proceedings",),
        scenario("2.31(d). A consent to use in proceedings opens nothing for treatment.",
                 "What law would permit for proceedings, this house still releases to nobody.")),
    Row("2.32(a)", "A statement goes with each disclosure on consent", RULES, CONSENT,
        scenario("A blood pressure of a methadone clinic goes to the treating physician on a TPO consent, with statement and marks.",
                 "2.32. Each release of a program's record on a consent carries statement, scope and accounting.")
        + unit("policy_test: the_statement_of_2_32_stands_word_for_word") + story("tests/scenario/74_notice.py")),
    Row("2.32(b)", "So does the consent, or what it covers", RULES, CONSENT,
        scenario("2.32. Each release of a program's record on a consent carries statement, scope and accounting.")
        + story("tests/scenario/74_notice.py")),
    Row("2.33(a)", "With consent, to whom it names for the purposes it names; on a TPO consent for all treatment, payment and operations",
        RULES, CONSENT,
        scenario("A TPO consent does not reach marketing.", "2.33(a). On a consent for particular purposes it goes for these and no other.",
                 "A consent for treatment alone lets it go for treatment, and forbids to pass it on.")),
    Row("2.33(b)(1)", "A covered entity or business associate may pass it on as HIPAA permits", RULES, CONSENT,
        scenario("A covered entity may pass it on as HIPAA permits.")),
    Row("2.33(b)(2)", "A program that HIPAA does not bind may pass it on as the consent says", RULES, CONSENT,
        scenario("A program that HIPAA does not bind gets it on a TPO consent under the terms of the consent.")),
    Row("2.33(b)(3), (c)", "A lawful holder may pass it on to contractors for payment and operations, under a contract", RULES, CONSENT,
        scenario("A lawful holder may not, though it be a covered entity in other matters.")),
    Row("2.34", "A registry that prevents double enrolment in withdrawal management gets what it needs on a consent that names it", PEOPLE,
        shown=scenario("2.34. To a registry of withdrawal management nothing goes by itself."),
        note="the program reports; no party of the shipped policy is such a registry."),
    Row("2.35", "Those in criminal justice who made treatment a condition, on a consent that may not be revoked before its time", PEOPLE,
        shown=scenario("2.35. To those who sent the patient from criminal justice nothing goes by itself."),
        note="the program discloses; a FHIR Consent has no place for a revocation that does not count yet, so that here it always counts."),
    Row("2.36", "A prescription monitoring program, with the patient's consent", PEOPLE,
        shown=scenario("2.36. To a prescription monitoring program nothing goes by itself."),
        note="the dispenser reports; no code list here says which medicines are of which schedule."),
    Row("2.51", "Medical personnel in an emergency in which no consent can be had; four facts are recorded at once", RULES, CONSENT,
        scenario("In a declared emergency a program's record goes without consent, marked and on record.",
                 "A declaration that lacks a part is none, and the request is refused.",
                 "2.51. What an emergency releases is listed and on record.", "Where a consent does, the emergency is not relied on.",
                 "2.51. An emergency opens a program's record for emergency treatment and for nothing else.")
        + unit("decide_test: an_emergency_is_one_only_when_complete", "identify_test: the_glass_breaks_for_a_whole_statement_only")),
    Row("2.52", "Research under HIPAA's or the Common Rule's conditions", RULES, CONSENT,
        scenario("2.52. Research gets no program's record, be it on a consent."),
        note="The shipped house releases no record to research."),
    Row("2.53", "Audit and evaluation by those entitled, under an agreement", PEOPLE,
        shown=scenario("2.53. To an auditor nothing goes by itself."), note="auditors work at the program; no party of the shipped policy is one."),
    Row("2.54", "Public health gets what is de-identified, and nothing else without consent", RULES, CONSENT,
        scenario("2.54. To a public health authority no identified record of a program goes.",
                 "2.54. Nor does who treats get it for public health."), note="Records cannot be de-identified here yet."),
    Row("2.61", "An order permits; only a subpoena or the like beside it compels", RULES, CONSENT + ("court-gets-what-an-order-compels",),
        scenario("2.61. A court gets what its order covers, once an instrument that compels stands beside it.", "2.61. Without both it gets nothing."),
        note="The register takes the order with its instrument; half of it is nothing."),
    Row("2.62", "No order reaches what researchers and auditors hold, to charge the patient", RULES, CONSENT + ("part2-no-proceedings",),
        scenario("2.52. Research gets no program's record, be it on a consent.", "2.53. To an auditor nothing goes by itself.")),
    Row("2.63", "Confidential communications need further findings of the court", RULES, ("sud-counseling-notes-need-their-own",),
        scenario("2.63. No order reaches counseling notes unless it finds that it must.")),
    Row("2.64", "A court's order for purposes other than to charge the patient: these records, these recipients, until then", RULES,
        CONSENT + ("court-gets-what-an-order-compels",),
        scenario("2.61. A court gets what its order covers, once an instrument that compels stands beside it.",
                 "2.65. An order for other than criminal ends is none to charge the patient with."),
        note="Whether notice was given and the holder heard, the officer enters."),
    Row("2.65", "A court's order to investigate or charge the patient", RULES, CONSENT + ("court-gets-what-an-order-compels",),
        scenario("2.65. One of 2.65 is.", "2.65. An order for other than criminal ends is none to charge the patient with.")),
    Row("2.66", "Investigating a program", PEOPLE, shown=scenario("2.66. To an agency that looks into a program nothing goes by itself."),
        note="counsel; no automated path leads there."),
    Row("2.67", "Undercover agents by order", PEOPLE, note="counsel; no automated path leads there."),
    Row("2.68", "Agencies report to the Secretary", PEOPLE, note="the agency's duty."),
]

HIPAA = [
    Row("164.508(a)(2)", "Psychotherapy notes need an authorization of their own", RULES, ("psychotherapy-notes-need-authorization",),
        scenario("A psychotherapy note stays behind for the treating provider.", "With its own authorization it goes.",
                 "The therapist who wrote a psychotherapy note reads it.", "But does not send it to a plan.")),
    Row("164.508(a)(3)", "Nothing for marketing without authorization", RULES, ("marketing-needs-authorization",),
        scenario("A health plan that asks for marketing is refused.") + unit("invariants_test: the_shipped_ones_can_break")),
    Row("164.502(b), 164.514(d)", "The minimum necessary, but to treat and to the patient", RULES,
        ("health-plan-sees-what-it-pays-for", "front-desk-sees-who-and-when", "ai-agent-sees-the-coded-minimum"),
        scenario("The plan gets no words.", "Nor scans.", "And nothing clinical.", "A treating provider reads a scanned letter and a note.")),
    Row("164.502(a), 164.514(h)", "Who fits no party gets nothing; who asks is verified", CODE,
        shown=scenario("Who is no party gets nothing.") + unit("identify_test: nobody_is_nobody", "identify_test: tokens_that_prove_nothing_are_refused")),
    Row("164.522(a)(1)(vi)", "What was paid for in full stays from the plan", RULES, ("self-pay-stays-from-the-plan",),
        scenario("Nor for its own operations, and no authorization changes that.")),
    Row("164.524", "The patient's access, notes kept apart aside, unless a professional holds it back", RULES,
        ("patient-sees-his-record", "access-that-would-endanger-stays"),
        scenario("The patient reads his record, and it leaves HIPAA with him.", "The patient's access does not reach psychotherapy notes.",
                 "What would endanger somebody if the patient read it stays, while a professional says so.")),
    Row("164.502(g)(3), (g)(5)", "Who represents a patient, and who may not", RULES, ("self-consented-care-is-the-minors",),
        scenario("A parent does not read of the treatment that a minor sought alone.", "He reads the rest.")
        + unit("register_test: representatives"), note="The register says who represents, and whom 164.502(g)(5) excludes."),
    Row("164.522(a)(1)", "A restriction that was agreed to", RULES, ("agreed-restrictions-bind",),
        scenario("What the house agreed to keep from a partner stays from him.", "The patient has it.")),
    Row("164.528", "An accounting of disclosures", CODE, shown=unit("exchange_test: the_ledger_has_every_answer", "accounting_test: six_years"),
        note="`sluice ledger accounting --years 6` lists what rules mark with `account`; disclosures that did not pass here are no part of it."),
    Row("164.514(b)", "De-identified records", NOT_YET, note="no transform makes them; so nothing goes where only these may."),
    Row("164.512(i)", "Research", RULES, ("research-sees-no-record",), scenario("Research reads the directory.",
        "Research gets no record, not even on a consent, until records can be de-identified here.")),
    Row("164.512(b), (e), (f)", "Public health, courts, the police", RULES, ("part2-needs-consent", "part2-no-proceedings"),
        scenario("Nobody gets anything for a purpose that no rule names."), note="HIPAA would permit more; the shipped house releases nothing for them."),
    Row("164.520", "The notice of privacy practices", PEOPLE, note="the house's."),
    Row("164.400 to 164.414", "Breaches", PEOPLE, note="the officer's; the ledger says what went to whom under which generation of the policy."),
    Row("171.202, 171.204", "Withholding must rest on law or an exception", CODE, shown=unit("policy_test: the_rule_that_decided_is_exact"),
        note="Each decision names the rule, and each rule its law; `sluice policy explain` says it."),
    Row("38 USC 7332", "Labels of the VA are kept", CODE, shown=unit("labels_out_test: test_again")),
]
