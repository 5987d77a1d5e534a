// Members, their roles and their shares.

// Role flags are strict (W6): true, or the text "true" that existing clients write.
function flag(value) {
  return value === true || value === "true";
}

// Roles under `cgsRoles` are held by the text "true" alone, as existing clients write and read them.
function hasRole(data, role) {
  return isObject(data) && isObject(data.cgsRoles) && data.cgsRoles[role] === "true";
}

function isOperator(data) {
  return isObject(data) && flag(data.isOperator);
}

// Members with an administrative role are not counted in votes.
function isCounted(data) {
  if (!isObject(data)) return true;
  return !(
    flag(data.isOperator) ||
    flag(data.isRecoveryOperator) ||
    hasRole(data, "cgsOperator") ||
    hasRole(data, "contractOperator")
  );
}

// [{id, active, joining, data, recovery_role}] of all members.
function allMembers() {
  return gov("members.info")
    .entries()
    .filter(([, info]) => isObject(info))
    .map(([id, info]) => ({
      id,
      active: info.status === "Active",
      joining: info.status === "Accepted",
      data: info.member_data,
      recovery_role: info.recovery_role,
    }));
}

function memberInfo(id) {
  const info = gov("members.info").get(id);
  return isObject(info) ? info : undefined;
}

function holdsShare(id) {
  return gov("members.encryption_public_keys").has(id);
}

// The part an Active member takes in recovery: "Participant" with one of the shares, "Owner" with all of the key, or undefined.
function recoveryRole({ id, active, recovery_role: role }) {
  if (!active || !holdsShare(id)) return undefined;
  return isAbsent(role) ? "Participant" : ["Participant", "Owner"].find((known) => known === role);
}

// Whether those who hold shares could recover the service: as many participants as the threshold asks for, or owners alone
// where one is enough. It is what CCF asks for when it issues shares.
function canReach(threshold) {
  const roles = allMembers().map(recoveryRole);
  const participants = roles.filter((role) => role === "Participant").length;
  return participants > 0 ? threshold <= participants : threshold <= 1 && roles.includes("Owner");
}

// CON-36: the recovery threshold is one that the Active holders of shares can reach.
function checkThreshold(threshold) {
  if (!canReach(threshold)) {
    refuse("CON-36", `the Active members with shares cannot reach the threshold ${threshold}`);
  }
}

// CON-37: somebody is left to vote. Without a counted Active member nothing could ever be accepted again.
function keepElectorate(change) {
  const voters = () => allMembers().filter((m) => m.active && isCounted(m.data)).length;
  const before = voters();
  change();
  if (before > 0 && voters() === 0) {
    refuse("CON-37", "no Active member who votes would be left");
  }
}

action("set_member", {
  check(args) {
    checkCertificate(args.cert, "cert");
    optional(checkObject, args.member_data, "member_data");
    optional(checkEncryptionKey, args.encryption_pub_key, "encryption_pub_key");
    if (!isAbsent(args.recovery_role)) {
      checkOneOf(args.recovery_role, ["NonParticipant", "Participant", "Owner"], "recovery_role");
      // CON-35: a role in recovery needs a key.
      if (isAbsent(args.encryption_pub_key)) {
        refuse("CON-35", "recovery_role needs encryption_pub_key");
      }
    }
    checkNamedHolder(ccf.pemToId(args.cert), args);
  },
  apply(args) {
    const id = ccf.pemToId(args.cert);
    checkNamedHolder(id, args);
    keepElectorate(() => {
      gov("members.certs").setText(id, args.cert);
      const keys = gov("members.encryption_public_keys");
      if (isAbsent(args.encryption_pub_key)) {
        keys.delete(id);
      } else {
        keys.setText(id, args.encryption_pub_key);
      }
      // As in CCF, a member set again has to become Active again.
      gov("members.info").set(id, {
        member_data: args.member_data ?? undefined,
        recovery_role: args.recovery_role ?? undefined,
        status: "Accepted",
      });
      const signature = ccf.kv["public:ccf.internal.signatures"].get(singleton());
      const root = signature === undefined ? "" : ccf.bufToJsonCompatible(signature).root;
      gov("members.acks").set(id, { state_digest: root });
    });
  },
  // CON-20 (W6b, H1): alone, an operator adds only *new* members, only operators, without key or role in recovery, and
  // with nothing in their data that could mean anything else: whoever belongs to a tenant sets where its tokens come from.
  operator(args) {
    const known = ["isOperator", "identifier"];
    const data = args.member_data;
    return (
      isAbsent(args.encryption_pub_key) &&
      isAbsent(args.recovery_role) &&
      isOperator(data) &&
      Object.keys(data).every((key) => known.includes(key)) &&
      ["string", "undefined"].includes(typeof data.identifier) &&
      isNewMember(ccf.pemToId(args.cert))
    );
  },
});

function isNewMember(id) {
  return ["members.info", "members.certs", "members.encryption_public_keys"].every(
    (table) => !gov(table).has(id),
  );
}

action("remove_member", {
  check(args) {
    checkEntityId(args.member_id, "member_id");
  },
  apply(args) {
    const id = args.member_id;
    const info = memberInfo(id);
    if (info === undefined) return;
    const heldShare = recoveryRole({ ...info, id, active: info.status === "Active" }) !== undefined;
    keepElectorate(() => {
      for (const table of ["info", "encryption_public_keys", "certs", "acks"]) {
        gov(`members.${table}`).delete(id);
      }
      gov("history").delete(id);
    });
    if (heldShare) checkThreshold(serviceConfig().recovery_threshold);
    // Who held a share must not be able to help open what is written from now on.
    if (heldShare && serviceInfo().status === "Open") ccf.node.triggerLedgerRekey();
  },
  // CON-21 (W6a, W6d, H2): judged by `member_id`, the argument that is acted on; a `cert` is ignored. Alone, an operator
  // removes only operators, and only those who hold no share.
  operator(args) {
    const info = memberInfo(args.member_id);
    return info !== undefined && isOperator(info.member_data) && !holdsShare(args.member_id);
  },
});

action("set_member_data", {
  check(args) {
    checkEntityId(args.member_id, "member_id");
    checkObject(args.member_data, "member_data");
  },
  apply(args) {
    const info = memberInfo(args.member_id);
    if (info === undefined) throw new Error(`member ${args.member_id} does not exist`);
    keepElectorate(() => {
      gov("members.info").set(args.member_id, { ...info, member_data: args.member_data });
    });
  },
});
