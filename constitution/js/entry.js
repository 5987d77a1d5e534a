// What CCF calls, and `explain`, which it does not know.

// CON-01: a proposal is {"actions": [{"name", "args"?}, ...]} with at least one action. CON-02: every action is known.
export function validate(input) {
  const list = readActions(JSON.parse(input));
  if (list === undefined) {
    return { valid: false, description: 'CON-01: a proposal is {"actions": [{"name", "args"}, ...]} with at least one action' };
  }
  const errors = [];
  list.forEach(({ name, args }, position) => {
    const definition = actions.get(name);
    if (definition === undefined) {
      errors.push(`${name} at position ${position} failed validation: Error: CON-02: no such action`);
      return;
    }
    try {
      if (definition.check !== checkNone) optional(checkObject, args, "args");
      definition.check(definition.check === checkNone ? args : args ?? {});
    } catch (e) {
      errors.push(`${name} at position ${position} failed validation: ${e}`);
    }
  });
  return { valid: errors.length === 0, description: errors.join("\n") };
}

// {state, rule, reason, missing, against, joining}: what `resolve` answers, which rule said so and why; and of the members who are
// counted, whose yes is missing, who of them voted against, and for whom a contract waits.
export function explain(proposal, proposerId, votes, proposalId) {
  try {
    return decide(proposal, proposerId, votes, proposalId);
  } catch (e) {
    // CON-04: whatever is in the tables, a proposal that cannot be judged stays open; nothing is accepted by accident, and
    // no submission fails by somebody else's doing (H2).
    return { state: "Open", rule: "CON-04", reason: `cannot judge this proposal: ${e}`, ...NOBODY };
  }
}

export function resolve(proposal, proposerId, votes, proposalId) {
  const { state, rule, reason } = explain(proposal, proposerId, votes, proposalId);
  console.log(`${rule}: proposal ${proposalId} is ${state}: ${reason}`);
  return state;
}

export function apply(proposal, proposalId) {
  for (const { name, args } of readActions(JSON.parse(proposal)) ?? []) {
    const definition = actions.get(name);
    if (definition === undefined) refuse("CON-02", `${name}: no such action`);
    definition.apply(args ?? {}, proposalId);
  }
  indexOpenProposals(proposalId);
}
