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

// [{id, active, joining, data}] of all members.
function allMembers() {
  return gov("members.info")
    .entries()
    .filter(([, info]) => isObject(info))
    .map(([id, info]) => ({
      id,
      active: info.status === "Active",
      joining: info.status === "Accepted",
      data: info.member_data,
    }));
}

function memberInfo(id) {
  const info = gov("members.info").get(id);
  return isObject(info) ? info : undefined;
}

function holdsShare(id) {
  return gov("members.encryption_public_keys").has(id);
}

function countShareHolders() {
  return allMembers().filter((member) => member.active && holdsShare(member.id)).length;
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
  },
  apply(args) {
    const id = ccf.pemToId(args.cert);
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
  // with nothing in their data that could mean anything else.
  operator(args) {
    const known = ["isOperator", "tenantId", "identifier"];
    const data = args.member_data;
    return (
      isAbsent(args.encryption_pub_key) &&
      isAbsent(args.recovery_role) &&
      isOperator(data) &&
      Object.keys(data).every((key) => known.includes(key)) &&
      ["tenantId", "identifier"].every((key) => ["string", "undefined"].includes(typeof data[key])) &&
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
    const heldShare = info.status === "Active" && holdsShare(id);
    if (heldShare) {
      const left = countShareHolders() - 1;
      const threshold = serviceConfig().recovery_threshold;
      if (left < threshold) {
        refuse("CON-36", `${left} members with shares would be left, fewer than the threshold ${threshold}`);
      }
    }
    keepElectorate(() => {
      for (const table of ["info", "encryption_public_keys", "certs", "acks"]) {
        gov(`members.${table}`).delete(id);
      }
      gov("history").delete(id);
    });
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
