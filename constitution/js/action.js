// What an action is: a name and three functions.
//
//   check(args)              throws if the arguments cannot be accepted; read only
//   apply(args, proposalId)  makes the change
//   operator(args)           whether an operator may pass it alone; absent means never
//
// `operator` sees the state before the proposal, must not throw for checked arguments, and is where law 4 is kept: no
// action available without a members' vote may change who can read secrets, who votes, which code may join, who may sign
// tokens, or the constitution.

const actions = new Map();

function action(name, definition) {
  actions.set(name, { check() {}, operator: () => false, ...definition });
}

// Every other open proposal was written, and voted on, under other rules: mark them dropped.
function dropOtherProposals(proposalId) {
  const infos = gov("proposals_info");
  for (const id of allOpen()) {
    if (id !== proposalId) infos.set(id, { ...infos.get(id), state: "Dropped" });
  }
  gov("open_claims").clear();
}

// Outcome of the votes on a proposal that is being applied.
function finalVotes(proposalId) {
  const info = gov("proposals_info").get(proposalId);
  if (!isObject(info)) throw new Error(`proposal ${proposalId} has no record`);
  return info.final_votes ?? {};
}
