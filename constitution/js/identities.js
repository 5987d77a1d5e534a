// Users known by token: identities, and invitations by which they become known.

// CON-80: the kind of account that tokens are understood for.
function checkAccountType(value) {
  if (value !== "microsoft") refuse("CON-80", "accountType must be microsoft");
}

action("set_user_identity", {
  check(args) {
    checkName(args.id, "id");
    checkAccountType(args.accountType);
    optional(checkName, args.invitationId, "invitationId");
    checkObject(args.data, "data");
    checkText(args.data.tenantId, "data.tenantId");
    optional(checkText, args.data.identifier, "data.identifier");
  },
  apply(args) {
    const invitationId = args.invitationId ?? undefined;
    if (invitationId !== undefined) gov("accepted_user_invitations").set(invitationId, {});
    gov("user_identities").set(args.id, { accountType: args.accountType, invitationId, data: args.data });
  },
});

action("remove_user_identity", {
  check(args) {
    checkName(args.id, "id");
  },
  apply(args) {
    gov("user_identities").delete(args.id);
  },
});

function invitationTable(id) {
  return gov(`user_invitations-${id}`);
}

action("set_user_invitation_by_jwt_claims", {
  check(args) {
    checkName(args.invitationId, "invitationId");
    checkOneOf(args.type, ["add", "remove"], "type");
    checkAccountType(args.accountType);
    checkObject(args.claims, "claims");
    // CON-81: claims of a token that say who somebody is.
    const known = ["preferred_username", "email", "appid", "tid", "sub", "upn"];
    for (const [name, values] of Object.entries(args.claims)) {
      if (!known.includes(name)) refuse("CON-81", `claim must be one of ${known.join(", ")}, not ${name}`);
      for (const value of valueList(values)) {
        if (typeof value !== "string" || value === "") refuse("CON-81", `claim ${name} must be text`);
      }
    }
    checkNotYetAccepted(args.invitationId);
    if (args.type === "remove") checkRemovable(invitationTable(args.invitationId), args.claims);
  },
  apply(args) {
    checkNotYetAccepted(args.invitationId);
    if (args.type === "add") gov("user_invitations").set(args.invitationId, { accountType: args.accountType });
    editClaims(args.type, invitationTable(args.invitationId), args.claims);
  },
});

// CON-82: an invitation that was taken up stays as it was.
function checkNotYetAccepted(id) {
  if (gov("accepted_user_invitations").has(id)) refuse("CON-82", `invitation ${id} is already accepted`);
}

action("remove_user_invitation_by_jwt_claims", {
  check(args) {
    checkName(args.invitationId, "invitationId");
  },
  apply(args) {
    gov("user_invitations").delete(args.invitationId);
    invitationTable(args.invitationId).clear();
  },
});
