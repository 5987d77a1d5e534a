// The constitution itself.

action("set_constitution", {
  check(args) {
    checkText(args.constitution, "constitution");
    ccf.gov.validateConstitution(args.constitution);
  },
  apply(args, proposalId) {
    // The rules in force stay the rules: nothing was decided under others.
    if (args.constitution === getOnly("constitution")) return;
    // Approvals were for what comes behind the old rules: one left over could bring back a text that members have moved on from.
    gov("approved_constitutions").clear();
    setOnly("constitution", args.constitution);
    dropOtherProposals(proposalId);
  },
});

// CON-44: members approve a text by its SHA-256, for one use: the one proposal that installs it, by whom members let (CON-17). Any other
// change of the constitution ends the approval too.
action("approve_constitution", {
  check(args) {
    checkHex(args.digest, 64, "digest");
  },
  apply(args, proposalId) {
    gov("approved_constitutions").set(args.digest, { proposalId });
  },
});

action("withdraw_constitution_approval", {
  check(args) {
    checkHex(args.digest, 64, "digest");
  },
  apply(args) {
    gov("approved_constitutions").delete(args.digest);
  },
});

// Whether installing this text changes nothing that members have not voted on.
function isApprovedConstitution(text) {
  if (typeof text !== "string") return false;
  return text === getOnly("constitution") || gov("approved_constitutions").has(digestOf(text));
}
