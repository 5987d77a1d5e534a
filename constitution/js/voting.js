// Who decides. `decide` is a function of the proposal, the votes and the tables it reads; it writes nothing.
//
// The rules are tried in the order of `RULES`; the first that has an answer gives it. A rule answers with
// {state, reason} or with undefined.

// Any no of an Active member ends a proposal with one of these.
const VETOABLE = [
  "set_contract",
  "set_clean_room_policy",
  "set_deployment_spec",
  "set_deployment_info",
  "set_contract_runtime_options_enable_logging",
  "set_contract_runtime_options_enable_telemetry",
  "set_member_document",
  "set_contract_options",
  "set_application_options",
  "set_recovery_policy",
  "remove_recovery_policy",
];

const SWITCHED_OFF_BY_ANYBODY = [
  "set_contract_runtime_options_disable_telemetry",
  "set_contract_runtime_options_disable_logging",
];

// Actions that a role may pass alone while members have switched the option on; and only if `when` says so of the arguments.
const DELEGATED_TO_CGS_OPERATOR = {
  set_constitution: {
    option: "autoapprove-constitution-proposal",
    when: (args) => isApprovedConstitution(args.constitution),
  },
};
const DELEGATED_TO_CONTRACT_OPERATOR = {
  set_deployment_spec: { option: "autoapprove-deploymentspec-proposal" },
  set_deployment_info: { option: "autoapprove-deploymentinfo-proposal" },
  set_clean_room_policy: { option: "autoapprove-cleanroompolicy-proposal" },
};

const open = (reason) => ({ state: "Open", reason });
const accepted = (reason) => ({ state: "Accepted", reason });
const rejected = (reason) => ({ state: "Rejected", reason });

// CON-10: the actions an operator may pass alone.
function byOperator(p) {
  if (!isOperator(p.proposer?.data)) return undefined;
  if (p.actions.every((a) => actions.get(a.name)?.operator(a.args ?? {}) === true)) {
    return accepted("every action is one that an operator may pass alone");
  }
  return undefined;
}

// CON-11: veto.
function byVeto(p) {
  if (!p.actions.some((a) => VETOABLE.includes(a.name))) return undefined;
  const against = p.members.find((m) => m.active && p.votes.get(m.id) === false);
  return against && rejected(`member ${against.id} voted against`);
}

// CON-12: contracts come alone, each once, never a second time, and never in two open proposals.
function byContracts(p) {
  if (!p.has("set_contract")) return undefined;
  if (!p.actions.every((a) => a.name === "set_contract")) {
    return rejected("set_contract cannot be combined with other actions");
  }
  return onlyOnce(p, "set_contract", "accepted_contracts");
}

// CON-13: documents, the same, but in any company.
function byDocuments(p) {
  if (!p.has("set_member_document")) return undefined;
  return onlyOnce(p, "set_member_document", "accepted_member_documents");
}

function onlyOnce(p, name, table) {
  const field = CLAIMS_ID[name];
  const ids = p.actions.filter((a) => a.name === name).map((a) => a.args?.[field]);
  const odd = ids.find((id) => typeof id !== "string");
  if (odd !== undefined || ids.includes(undefined)) return rejected(`${field} must be text`);
  if (new Set(ids).size !== ids.length) return rejected(`${field} occurs twice`);
  const taken = ids.find((id) => gov(table).has(id));
  if (taken !== undefined) return rejected(`${field} ${taken} is already accepted`);
  // Of two proposals the one submitted later falls, at once; when votes are cast there is no other left to find.
  if (p.votes.size > 0) return undefined;
  const contested = ids.find((id) => rivals(claimKey(name, id), p.id).length > 0);
  if (contested !== undefined) return rejected(`${field} ${contested} is in another open proposal`);
  return undefined;
}

// CON-14: who only switches telemetry or logging off needs no vote. An operator does: it is not theirs to decide.
function bySwitchingOff(p) {
  const voter = p.proposer?.active && isCounted(p.proposer.data);
  if (voter && p.actions.every((a) => SWITCHED_OFF_BY_ANYBODY.includes(a.name))) {
    return accepted("switching telemetry or logging off needs no vote");
  }
  return undefined;
}

// CON-15: every Active member who counts has voted yes. Votes of others, and of those who have gone, mean nothing (W28).
// CON-16: for a contract, nobody who would count is still joining.
// CON-19: without anybody to count, nothing is accepted by count (W6c).
function byCount(p) {
  const electorate = p.members.filter((m) => m.active && isCounted(m.data));
  if (electorate.length === 0) return undefined;
  if (electorate.some((m) => p.votes.get(m.id) !== true)) return undefined;
  const joining = p.members.filter((m) => m.joining && isCounted(m.data));
  if (p.has("set_contract") && joining.length > 0) return undefined;
  return accepted(`all ${electorate.length} Active members voted for it`);
}

// CON-17, CON-18: what members have delegated, by switching an option on.
function byDelegate(p, role, delegated) {
  if (!hasRole(p.proposer?.data, role)) return undefined;
  const isDelegated = (a) => {
    if (!Object.hasOwn(delegated, a.name)) return false;
    const { option, when } = delegated[a.name];
    if (gov("cgs_runtime_options").get(option)?.status !== "enabled") return false;
    return when === undefined || when(a.args ?? {});
  };
  if (!p.actions.every(isDelegated)) return undefined;
  return accepted(`members have delegated this to the ${role}`);
}

const RULES = [
  ["CON-10", byOperator],
  ["CON-11", byVeto],
  ["CON-12", byContracts],
  ["CON-13", byDocuments],
  ["CON-14", bySwitchingOff],
  ["CON-15", byCount],
  ["CON-17", (p) => byDelegate(p, "cgsOperator", DELEGATED_TO_CGS_OPERATOR)],
  ["CON-18", (p) => byDelegate(p, "contractOperator", DELEGATED_TO_CONTRACT_OPERATOR)],
];

// Why a proposal stays open.
function whyOpen(p, { missing, against, joining }) {
  if (!p.members.some((m) => m.active && isCounted(m.data))) {
    return { rule: "CON-19", ...open("there is no Active member whose vote counts") };
  }
  if (missing.length === 0) {
    return { rule: "CON-16", ...open(`${joining.length} members are joining; they must become Active and vote`) };
  }
  if (against.length > 0) {
    // A ballot cannot be changed.
    return { rule: "CON-15", ...open(`${against.length} members voted against it: it can only be withdrawn`) };
  }
  return { rule: "CON-15", ...open(`${missing.length} Active members have not voted for it`) };
}

// Who stands in the way: counted members whose yes is missing, those of them who said no, and those who are joining.
function standing(p) {
  const counted = p.members.filter((m) => isCounted(m.data));
  const missing = counted.filter((m) => m.active && p.votes.get(m.id) !== true);
  const ids = (list) => list.map((m) => m.id);
  return {
    missing: ids(missing),
    against: ids(missing.filter((m) => p.votes.get(m.id) === false)),
    joining: p.has("set_contract") ? ids(counted.filter((m) => m.joining)) : [],
  };
}

const NOBODY = { missing: [], against: [], joining: [] };

// The actions of a proposal, or undefined if it is none (CON-01).
function readActions(proposal) {
  const list = isObject(proposal) ? proposal.actions : undefined;
  const wellFormed = (a) => isObject(a) && typeof a.name === "string";
  return Array.isArray(list) && list.length > 0 && list.every(wellFormed) ? list : undefined;
}

function decide(proposal, proposerId, votes, proposalId) {
  const list = readActions(JSON.parse(proposal));
  if (list === undefined) {
    return { rule: "CON-01", ...rejected("this is no proposal: a list of actions is needed"), ...NOBODY };
  }
  const members = allMembers();
  const p = {
    id: proposalId,
    actions: list,
    members,
    proposer: members.find((m) => m.id === proposerId),
    votes: new Map(votes.map((v) => [v.member_id, v.vote])),
    has: (name) => list.some((a) => a.name === name),
  };
  const people = standing(p);
  for (const [rule, answer] of RULES) {
    const outcome = answer(p);
    if (outcome !== undefined) return { rule, ...outcome, ...people };
  }
  return { ...whyOpen(p, people), ...people };
}
