//! Each rule has a change of the text that breaks it, and a test that sees it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use constitution::default_module;

use crate::consortium::under;
use crate::documented::rules;
use crate::{
    actions, claims_index, operator, options, platform, policies, recovery, theorem, voting,
};

/// Rule, text, what stands there instead, and the test that must fail then.
type Mutant = (&'static str, &'static str, &'static str, fn());

const MUTANTS: &[Mutant] = &[
    (
        "CON-01",
        "list.length > 0 && ",
        "",
        voting::what_is_no_proposal_is_rejected_and_what_cannot_be_judged_stays_open,
    ),
    (
        "CON-02",
        "errors.push(`${name} at position ${position} failed validation: Error: CON-02: no such action`);",
        "",
        actions::unknown_and_refused_actions_name_their_rule,
    ),
    (
        "CON-03",
        "refuse(\"CON-03\", `${name} is refused: the",
        "String(\"CON-03\", `${name} is refused: the",
        actions::unknown_and_refused_actions_name_their_rule,
    ),
    (
        "CON-04",
        "{ state: \"Open\", rule: \"CON-04\"",
        "{ state: \"Accepted\", rule: \"CON-04\"",
        voting::what_is_no_proposal_is_rejected_and_what_cannot_be_judged_stays_open,
    ),
    (
        "CON-10",
        "if (!isOperator(p.proposer?.data)) return undefined;",
        "",
        operator::an_operator_passes_these_actions_alone_and_no_others,
    ),
    (
        "CON-10",
        "p.actions.every((a) => actions.get(a.name)?.operator",
        "p.actions.some((a) => actions.get(a.name)?.operator",
        operator::one_action_that_is_not_theirs_is_enough,
    ),
    (
        "CON-11",
        "m.active && p.votes.get(m.id) === false",
        "p.votes.get(m.id) === false",
        voting::votes_of_strangers_and_of_members_who_left_mean_nothing,
    ),
    (
        "CON-11",
        "m.active && p.votes.get(m.id) === false",
        "m.active && p.votes.get(m.id) !== true",
        voting::one_no_ends_what_can_be_vetoed_and_nothing_else,
    ),
    (
        "CON-11",
        "  \"set_deployment_info\",\n  \"set_contract_runtime",
        "  \"set_contract_runtime",
        voting::one_no_ends_what_can_be_vetoed_and_nothing_else,
    ),
    (
        "CON-12",
        "!p.actions.every((a) => a.name === \"set_contract\")",
        "false",
        voting::a_contract_is_accepted_once,
    ),
    (
        "CON-12",
        "new Set(ids).size !== ids.length) return rejected(`${field} occurs",
        "false) return rejected(`${field} occurs",
        voting::a_contract_is_accepted_once,
    ),
    (
        "CON-12",
        "ids.find((id) => gov(table).has(id))",
        "undefined",
        voting::a_contract_is_accepted_once,
    ),
    (
        "CON-12",
        "rivals(claimKey(name, id), p.id).length > 0",
        "false",
        voting::a_contract_is_accepted_once,
    ),
    (
        "CON-12",
        "if (p.votes.size > 0) return undefined;",
        "",
        voting::a_contract_is_accepted_once,
    ),
    (
        "CON-12",
        "const indexed = (Array.isArray(claimed) ? claimed : []).filter(isOpen);",
        "const indexed = [];",
        claims_index::a_submission_reads_no_list_of_proposals,
    ),
    (
        "CON-12",
        "!(recent[0][0] < index.median)",
        "false",
        claims_index::what_the_list_forgets_is_found_all_the_same,
    ),
    (
        "CON-12",
        "filter((id) => !seen.has(id) && isOpen(id))",
        "filter((id) => false)",
        claims_index::a_submission_reads_no_list_of_proposals,
    ),
    (
        "CON-13",
        "return onlyOnce(p, \"set_member_document\"",
        "return undefined && onlyOnce(p, \"set_member_document\"",
        voting::a_document_is_accepted_once_in_any_company,
    ),
    (
        "CON-14",
        "const voter = p.proposer?.active && isCounted(p.proposer.data);",
        "const voter = true;",
        voting::who_counts_may_switch_logging_off_alone,
    ),
    (
        "CON-15",
        "electorate.some((m) => p.votes.get(m.id) !== true)",
        "electorate.every((m) => p.votes.get(m.id) !== true)",
        voting::all_active_members_must_say_yes,
    ),
    (
        "CON-15",
        "const electorate = p.members.filter((m) => m.active && isCounted(m.data));",
        "const electorate = p.members.filter((m) => m.active);",
        voting::roles_count_only_when_true,
    ),
    (
        "CON-16",
        "if (p.has(\"set_contract\") && joining.length > 0) return undefined;",
        "",
        voting::a_contract_waits_for_members_who_are_joining,
    ),
    (
        "CON-17",
        "when: (args) => isApprovedConstitution(args.constitution),",
        "",
        theorem::a_delegate_installs_only_the_constitution_members_approved_and_only_once,
    ),
    (
        "CON-17",
        "if (args.constitution === getOnly(\"constitution\")) return;",
        "",
        theorem::a_delegate_installs_only_the_constitution_members_approved_and_only_once,
    ),
    (
        "CON-18",
        "?.status !== \"enabled\") return false;",
        "?.status === \"\") return false;",
        voting::a_role_passes_what_members_delegated_and_only_while_they_do,
    ),
    (
        "CON-18",
        "if (!p.actions.every(isDelegated)) return undefined;",
        "if (!p.actions.some(isDelegated)) return undefined;",
        voting::a_role_passes_what_members_delegated_and_only_while_they_do,
    ),
    (
        "CON-19",
        "if (electorate.length === 0) return undefined;",
        "",
        voting::with_nobody_to_count_nothing_is_accepted,
    ),
    (
        "CON-20",
        "isAbsent(args.encryption_pub_key) &&\n",
        "",
        operator::an_operator_adds_only_new_bare_operators,
    ),
    (
        "CON-20",
        "isAbsent(args.recovery_role) &&\n",
        "",
        operator::an_operator_adds_only_new_bare_operators,
    ),
    (
        "CON-20",
        "Object.keys(data).every((key) => known.includes(key)) &&",
        "",
        operator::an_operator_adds_only_new_bare_operators,
    ),
    (
        "CON-20",
        "isNewMember(ccf.pemToId(args.cert))",
        "true",
        operator::an_operator_cannot_set_an_existing_member_again,
    ),
    (
        "CON-21",
        " && !holdsShare(args.member_id)",
        "",
        operator::an_operator_removes_only_operators_without_shares,
    ),
    (
        "CON-21",
        "info !== undefined && isOperator(info.member_data) &&",
        "info !== undefined &&",
        operator::an_operator_removes_only_operators_without_shares,
    ),
    (
        "CON-22",
        "return isObject(info) && info.status === \"Opening\";",
        "return isObject(info);",
        operator::an_operator_opens_only_a_service_that_is_new,
    ),
    (
        "CON-23",
        "&& then >= now;",
        ";",
        operator::an_operator_only_raises_minimum_tcbs,
    ),
    (
        "CON-23",
        "    isObject(current) &&\n",
        "    !isObject(current) ||\n",
        operator::an_operator_only_raises_minimum_tcbs,
    ),
    (
        "CON-24",
        "// CON-24: a label.\n  operator: () => true,",
        "",
        operator::an_operator_passes_these_actions_alone_and_no_others,
    ),
    (
        "CON-30",
        "if (typeof value !== \"string\") {\n    refuse(\"CON-30\"",
        "if (false) {\n    refuse(\"CON-30\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-31",
        "value.length < 1 || value.length > 256",
        "value.length > 256",
        actions::arguments_have_their_types,
    ),
    (
        "CON-31",
        "if (!isHex(value, 64)) refuse(\"CON-31\"",
        "if (false) refuse(\"CON-31\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-32",
        "if (!isObject(value)) {\n    refuse(\"CON-32\"",
        "if (false) {\n    refuse(\"CON-32\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-33",
        "value.split(\"-----BEGIN \").length !== 2",
        "false",
        actions::arguments_have_their_types,
    ),
    (
        "CON-34",
        "|| modulus.length < 342",
        "",
        actions::arguments_have_their_types,
    ),
    (
        "CON-35",
        "needs a key.\n      if (isAbsent(args.encryption_pub_key)) {\n",
        "needs a key.\n      if (false) {\n",
        actions::arguments_have_their_types,
    ),
    (
        "CON-36",
        "return participants > 0 ? threshold <= participants",
        "return participants > 0 ? true",
        actions::shares_stay_enough_and_the_ledger_is_rekeyed,
    ),
    (
        "CON-37",
        "if (before > 0 && voters() === 0) {",
        "if (false) {",
        actions::somebody_is_left_to_vote,
    ),
    (
        "CON-38",
        "if (!known.includes(name)) refuse(\"CON-38\"",
        "if (false) refuse(\"CON-38\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-39",
        "if (isAbsent(previous)) refuse(\"CON-39\"",
        "if (false) refuse(\"CON-39\"",
        actions::opening_a_recovering_service_names_what_came_before,
    ),
    (
        "CON-40",
        "if (digest !== args.host_data) {",
        "if (false) {",
        actions::arguments_have_their_types,
    ),
    (
        "CON-41",
        "/^[0-9a-f]*$/.test(value)",
        "/^[0-9a-f]*$/i.test(value)",
        platform::what_the_application_could_not_read_is_refused,
    ),
    (
        "CON-42",
        "if (!isHex(args.tcb_version, 16)) {\n      refuse",
        "if (false) {\n      refuse",
        actions::arguments_have_their_types,
    ),
    (
        "CON-43",
        "if (days > most) refuse(\"CON-43\"",
        "if (false) refuse(\"CON-43\"",
        actions::a_trusted_node_is_endorsed_for_as_long_as_the_service_allows,
    ),
    (
        "CON-44",
        "gov(\"approved_constitutions\").clear();",
        "gov(\"approved_constitutions\").delete(digestOf(args.constitution));",
        theorem::a_delegate_installs_only_the_constitution_members_approved_and_only_once,
    ),
    (
        "CON-50",
        "if (!args.ca_cert_bundle_name) refuse(\"CON-50\"",
        "if (false) refuse(\"CON-50\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-51",
        "if (jwks.keys.length === 0) refuse(\"CON-51\"",
        "if (false) refuse(\"CON-51\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-60",
        "if (isAbsent(value.data)) refuse(\"CON-60\"",
        "if (false) refuse(\"CON-60\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-61",
        "if (!isAcceptedContract(id)) refuse(\"CON-61\"",
        "if (false) refuse(\"CON-61\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-62",
        "?.enabled !== \"true\") {\n    refuse(\"CON-62\"",
        "?.enabled === \"\") {\n    refuse(\"CON-62\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-63",
        "if (!options.includes(args.option)) refuse(\"CON-63\"",
        "if (false) refuse(\"CON-63\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-64",
        "check === undefined || places[place] === false",
        "check === undefined",
        options::an_option_is_known_in_its_place_and_has_a_value_of_its_kind,
    ),
    (
        "CON-64",
        "if (value !== null) check(value, `options.${name}`);",
        "",
        options::an_option_is_known_in_its_place_and_has_a_value_of_its_kind,
    ),
    (
        "CON-65",
        "if (owner !== undefined && owner !== contractId) {",
        "if (false) {",
        options::a_subject_of_tokens_belongs_to_one_contract,
    ),
    (
        "CON-65",
        "for (const key of old) subjects.delete(key);",
        "",
        options::a_subject_of_tokens_belongs_to_one_contract,
    ),
    (
        "CON-70",
        "if (!FAMILIES[family].includes(name)) refuse(\"CON-70\"",
        "if (false) refuse(\"CON-70\"",
        policies::only_claims_of_the_family_come_in,
    ),
    (
        "CON-71",
        "if (![\"string\", \"number\", \"boolean\"].includes(typeof value)) {\n      refuse(\"CON-71\"",
        "if (false) {\n      refuse(\"CON-71\"",
        policies::only_claims_of_the_family_come_in,
    ),
    (
        "CON-72",
        "if (!pinned.some((name) =>",
        "if (false && !pinned.some((name) =>",
        policies::w4_a_policy_for_virtual_machines_pins_what_booted,
    ),
    (
        "CON-74",
        "if (!Array.isArray(stored)) refuse(\"CON-74\"",
        "if (false) refuse(\"CON-74\"",
        policies::only_what_is_there_is_removed,
    ),
    (
        "CON-75",
        "origins.set(contractId, { proposalId, history, claims });",
        "",
        policies::a_policy_knows_the_proposals_that_made_it,
    ),
    (
        "CON-76",
        "if (!Object.hasOwn(PLATFORM_MEMBERS, name)) refuse(\"CON-76\"",
        "if (false) refuse(\"CON-76\"",
        platform::what_the_application_could_not_read_is_refused,
    ),
    (
        "CON-80",
        "if (value !== \"microsoft\") refuse(\"CON-80\"",
        "if (false) refuse(\"CON-80\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-81",
        "if (!known.includes(name)) refuse(\"CON-81\"",
        "if (false) refuse(\"CON-81\"",
        actions::arguments_have_their_types,
    ),
    (
        "CON-82",
        "if (gov(\"accepted_user_invitations\").has(id)) refuse(\"CON-82\"",
        "if (false) refuse(\"CON-82\"",
        actions::invitations_are_edited_until_they_are_taken_up,
    ),
    (
        "CON-83",
        "!/^https:\\/\\/[A-Za-z0-9.-]+",
        "!/^https?:\\/\\/[A-Za-z0-9.-]+",
        actions::arguments_have_their_types,
    ),
    (
        "CON-90",
        "if (allowed !== holders.length > 0) {",
        "if (false) {",
        recovery::a_policy_names_its_mode_and_the_holders_that_mode_needs,
    ),
    (
        "CON-90",
        "if (new Set(ids).size !== ids.length) refuse(\"CON-90\"",
        "if (false) refuse(\"CON-90\"",
        recovery::a_policy_names_its_mode_and_the_holders_that_mode_needs,
    ),
    (
        "CON-91",
        "if (holder === undefined) refuse(\"CON-91\"",
        "if (holder === undefined) return String(\"CON-91\"",
        recovery::under_a_policy_only_who_it_names_gets_a_share,
    ),
    (
        "CON-91",
        "if (want !== got) refuse(\"CON-91\"",
        "if (false) refuse(\"CON-91\"",
        recovery::under_a_policy_only_who_it_names_gets_a_share,
    ),
    (
        "CON-92",
        "if (status !== \"Open\" && status !== \"Opening\") {\n      refuse(\"CON-92\"",
        "if (false) {\n      refuse(\"CON-92\"",
        recovery::a_policy_does_not_change_during_a_recovery,
    ),
    (
        "CON-92",
        "if (status === \"Open\") ccf.node.triggerLedgerRekey();",
        "",
        recovery::who_is_no_longer_named_loses_the_share_and_the_ledger_its_secret,
    ),
    (
        "CON-92",
        "if (holdsShare(id) && held !== role) refuse(\"CON-92\"",
        "if (false) refuse(\"CON-92\"",
        recovery::a_policy_says_the_roles_its_holders_have,
    ),
    (
        "CON-93",
        "if (!kinds.includes(kind)) {\n    refuse(\"CON-93\"",
        "if (false) {\n    refuse(\"CON-93\"",
        recovery::an_opening_says_which_recovery_it_is_and_why,
    ),
    (
        "CON-93",
        "policy.requires_reason === true && isAbsent(args.reason)",
        "false",
        recovery::an_opening_says_which_recovery_it_is_and_why,
    ),
    (
        "CON-94",
        "if (!isAbsent(record.acknowledged_by)) refuse(\"CON-94\"",
        "if (false) refuse(\"CON-94\"",
        recovery::members_acknowledge_the_latest_recovery_once,
    ),
    (
        "CON-94",
        "if (count !== latest) refuse(\"CON-94\"",
        "if (false) refuse(\"CON-94\"",
        recovery::members_acknowledge_the_latest_recovery_once,
    ),
];

#[test]
fn every_rule_has_a_mutant() {
    let have: BTreeSet<&str> = MUTANTS.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(have, rules(&default_module()));
}

#[test]
fn every_mutant_is_seen() {
    let module = default_module();
    let ambiguous: Vec<_> = MUTANTS
        .iter()
        .filter(|(_, text, ..)| module.matches(text).count() != 1)
        .map(|(rule, text, ..)| (rule, text))
        .collect();
    assert!(ambiguous.is_empty(), "not once in the text: {ambiguous:#?}");
    let mut alive = Vec::new();
    for (rule, text, instead, test) in MUTANTS {
        let mutant = module.replace(text, instead);
        if under(mutant, || catch_unwind(AssertUnwindSafe(test))).is_ok() {
            alive.push((rule, text));
        }
    }
    assert!(alive.is_empty(), "no test sees these: {alive:#?}");
}
