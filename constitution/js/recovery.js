// Who may bring a service back from its ledger, and on what terms: the recovery policy.
//
// Whoever holds a recovery share can help open everything the ledger ever held. *Confidential* holders are members whose keys
// never leave an attested recovery service; *break-glass* holders are people or organisations. While a policy is in force, only
// who it names holds a share. Who it stops naming keeps what old shares open of the past, and nothing of what follows.

const CONFIDENTIAL = "confidential";
const BREAK_GLASS = "break_glass";

// The kinds of recovery each mode allows.
const RECOVERY_MODES = {
  confidential_only: [CONFIDENTIAL],
  confidential_or_break_glass: [CONFIDENTIAL, BREAK_GLASS],
  break_glass_only: [BREAK_GLASS],
};

const HOLDER_MEMBERS = {
  [CONFIDENTIAL]: {
    service_host_data: (value, field) => checkHex(value, 64, field),
    key_store_id: checkName,
  },
  [BREAK_GLASS]: { holder: checkName },
};

const RECOVERY_MEMBERS = [
  "mode", CONFIDENTIAL, BREAK_GLASS, "notice_seconds", "requires_reason", "requires_member_ack", "sealed_restart",
];

// CON-90: a recovery policy names its mode, and holders for each kind of recovery that the mode allows and for no other; every
// holder once, and what is needed to know it again.
function checkRecoveryPolicy(policy) {
  checkObject(policy, "policy");
  checkMembers(policy, RECOVERY_MEMBERS, "policy");
  checkOneOf(policy.mode, Object.keys(RECOVERY_MODES), "policy.mode");
  for (const kind of [CONFIDENTIAL, BREAK_GLASS]) {
    const allowed = RECOVERY_MODES[policy.mode].includes(kind);
    const holders = policy[kind] ?? [];
    checkArray(holders, `policy.${kind}`);
    if (allowed !== holders.length > 0) {
      refuse("CON-90", `policy.${kind} ${allowed ? "names nobody" : `is not for ${policy.mode}`}`);
    }
    holders.forEach((holder, index) => checkHolder(kind, holder, `policy.${kind}[${index}]`));
  }
  const ids = recoveryHolders(policy).map((holder) => holder.member_id);
  if (new Set(ids).size !== ids.length) refuse("CON-90", "a member holds one share, of one kind");
  optional(checkInteger, policy.notice_seconds, 0, 2592000, "policy.notice_seconds");
  optional(checkBoolean, policy.requires_reason, "policy.requires_reason");
  optional(checkBoolean, policy.requires_member_ack, "policy.requires_member_ack");
  optional(checkBoolean, policy.sealed_restart, "policy.sealed_restart");
}

function checkMembers(value, known, field) {
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) refuse("CON-90", `${field} has no member ${name}`);
  }
}

function checkHolder(kind, holder, field) {
  checkObject(holder, field);
  checkMembers(holder, ["member_id", "recovery_role", ...Object.keys(HOLDER_MEMBERS[kind])], field);
  checkEntityId(holder.member_id, `${field}.member_id`);
  optional(checkOneOf, holder.recovery_role, ["Participant", "Owner"], `${field}.recovery_role`);
  for (const [name, check] of Object.entries(HOLDER_MEMBERS[kind])) check(holder[name], `${field}.${name}`);
}

// All holders a policy names, each with the kind of recovery it is for.
function recoveryHolders(policy) {
  return [CONFIDENTIAL, BREAK_GLASS].flatMap((kind) => (policy[kind] ?? []).map((holder) => ({ ...holder, kind })));
}

function recoveryPolicy() {
  const policy = getOnly("recovery_policy");
  return isObject(policy) ? policy : undefined;
}

// CON-91: while a recovery policy is in force, only who it names has an encryption key or a role in recovery, and that role.
function checkNamedHolder(id, args) {
  const policy = recoveryPolicy();
  if (policy === undefined || (isAbsent(args.encryption_pub_key) && isAbsent(args.recovery_role))) return;
  const holder = recoveryHolders(policy).find((named) => named.member_id === id);
  if (holder === undefined) refuse("CON-91", `the recovery policy does not name member ${id}`);
  const [want, got] = [holder.recovery_role ?? "Participant", args.recovery_role ?? "Participant"];
  if (want !== got) refuse("CON-91", `the recovery policy names member ${id} as ${want}, not ${got}`);
}

// Takes key and role from every member the policy does not name. Whether an Active one was among them.
function releaseHolders(policy) {
  const named = recoveryHolders(policy).map((holder) => holder.member_id);
  let lost = false;
  for (const { id, active } of allMembers()) {
    if (named.includes(id) || !holdsShare(id)) continue;
    lost ||= active;
    gov("members.encryption_public_keys").delete(id);
    gov("members.info").set(id, { ...memberInfo(id), recovery_role: undefined });
  }
  return lost;
}

// CON-92: the policy changes while the service is not being recovered; it gives the holders it names the roles they have; and who
// is no longer named holds no share of what is written from then on.
action("set_recovery_policy", {
  check(args) {
    checkRecoveryPolicy(args.policy);
  },
  apply(args) {
    const status = serviceInfo().status;
    if (status !== "Open" && status !== "Opening") {
      refuse("CON-92", `the recovery policy cannot change while the service is ${status}`);
    }
    checkHeldRoles(args.policy);
    const lost = releaseHolders(args.policy);
    setOnly("recovery_policy", args.policy);
    if (!lost) return;
    checkThreshold(serviceConfig().recovery_threshold);
    if (status === "Open") ccf.node.triggerLedgerRekey();
  },
});

// A policy says what is: a holder it names has the role it names.
function checkHeldRoles(policy) {
  for (const { member_id: id, recovery_role: role = "Participant" } of recoveryHolders(policy)) {
    const held = memberInfo(id)?.recovery_role ?? "Participant";
    if (holdsShare(id) && held !== role) refuse("CON-92", `member ${id} is ${held}, not ${role}; set the member first`);
  }
}

action("remove_recovery_policy", {
  check: checkNone,
  apply() {
    ccf.kv[`${GOV}recovery_policy`].delete(singleton());
  },
});

// CON-93: opening a recovering service says which kind of recovery it is, if the policy allows both; a break-glass recovery
// gives its reason, if the policy asks for one.
function recoveryOpening(args) {
  const policy = recoveryPolicy();
  if (policy === undefined) return undefined;
  const kinds = RECOVERY_MODES[policy.mode];
  const kind = args.recovery_kind ?? (kinds.length === 1 ? kinds[0] : undefined);
  if (!kinds.includes(kind)) {
    refuse("CON-93", `recovery_kind must be ${kinds.join(" or ")}; the recovery policy is ${policy.mode}`);
  }
  if (kind === BREAK_GLASS && policy.requires_reason === true && isAbsent(args.reason)) {
    refuse("CON-93", "a break-glass recovery needs a reason");
  }
  return { policy, kind };
}

function checkRecoveryArguments(args) {
  optional(checkOneOf, args.recovery_kind, [CONFIDENTIAL, BREAK_GLASS], "recovery_kind");
  optional(checkReason, args.reason, "reason");
  if (getOnly("service.info")?.status === "Recovering") recoveryOpening(args);
}

function checkReason(value, field) {
  checkText(value, field);
  if (!/\S/.test(value) || value.length > 4096) refuse("CON-93", `${field} must have 1 to 4096 characters`);
}

// Leaves a record of a recovery that is being opened. After a break-glass recovery under a policy that asks for notice or
// acknowledgement, the record says that releases are held.
function recordRecovery(args, proposalId) {
  const info = serviceInfo();
  const opening = recoveryOpening(args);
  const record = {
    kind: opening?.kind,
    reason: args.reason ?? undefined,
    proposal_id: proposalId,
    recovery_count: info.recovery_count ?? 0,
    previous_service_identity: args.previous_service_identity,
    next_service_identity: args.next_service_identity,
    opened_at: Date.now(),
  };
  if (opening?.kind === BREAK_GLASS) {
    record.notice_seconds = opening.policy.notice_seconds ?? 0;
    record.requires_member_ack = opening.policy.requires_member_ack === true;
  }
  gov("recoveries").set(`${record.recovery_count}`, record);
}

// CON-94: members acknowledge the recovery that happened last, once; until they have, a policy that asks for it holds releases.
action("acknowledge_recovery", {
  check(args) {
    checkInteger(args.recovery_count, 0, Number.MAX_SAFE_INTEGER, "recovery_count");
    unacknowledged(args.recovery_count);
  },
  apply(args, proposalId) {
    const record = unacknowledged(args.recovery_count);
    gov("recoveries").set(`${args.recovery_count}`, { ...record, acknowledged_by: proposalId });
  },
});

function unacknowledged(count) {
  const latest = serviceInfo().recovery_count ?? 0;
  if (count !== latest) refuse("CON-94", `the latest recovery is ${latest}, not ${count}`);
  const record = gov("recoveries").get(`${count}`);
  if (!isObject(record)) refuse("CON-94", `recovery ${count} has not been opened`);
  if (!isAbsent(record.acknowledged_by)) refuse("CON-94", `recovery ${count} is acknowledged already`);
  return record;
}
