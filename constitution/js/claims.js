// Sets of permitted values per claim, and how they are edited.
//
// A set is stored as a JSON array under the name of its claim. Values are compared by type and value.

// A single value stands for a list of one.
function valueList(values) {
  return Array.isArray(values) ? values : [values];
}

// A truth value stands for its claim: the new one replaces the old, and removing either removes the claim.
function namesTruth(values) {
  return typeof valueList(values)[0] === "boolean";
}

// CON-74: only what is there can be removed.
function checkRemovable(table, claims) {
  for (const [name, values] of Object.entries(claims)) {
    const stored = table.get(name);
    if (!Array.isArray(stored)) refuse("CON-74", `claim ${name} is not set`);
    if (namesTruth(values)) continue;
    for (const value of valueList(values)) {
      if (!stored.includes(value)) {
        refuse("CON-74", `claim ${name} does not permit ${JSON.stringify(value)}`);
      }
    }
  }
}

function addClaims(table, claims) {
  for (const [name, values] of Object.entries(claims)) {
    const added = valueList(values);
    const stored = table.get(name);
    const kept = Array.isArray(stored) && !namesTruth(values) ? stored : [];
    table.set(name, [...new Set([...kept, ...added])]);
  }
}

// What is gone already, by a proposal accepted in between, stays gone.
function removeClaims(table, claims) {
  for (const [name, values] of Object.entries(claims)) {
    const removed = valueList(values);
    const stored = table.get(name);
    const left = (value) => !removed.includes(value) && !namesTruth(values);
    const kept = Array.isArray(stored) ? stored.filter(left) : [];
    if (kept.length === 0) {
      table.delete(name);
    } else {
      table.set(name, kept);
    }
  }
}

function editClaims(type, table, claims) {
  if (type === "add") {
    addClaims(table, claims);
  } else {
    removeClaims(table, claims);
  }
}
