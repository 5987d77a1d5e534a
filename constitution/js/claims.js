// Sets of permitted values per claim, and how they are edited.
//
// A set is stored as a JSON array under the name of its claim. Values are compared by type and value.

// A single value stands for a list of one.
function valueList(values) {
  return Array.isArray(values) ? values : [values];
}

// CON-73: a list names at least one value; an empty one could never match.
function checkClaimLists(claims, field) {
  checkObject(claims, field);
  if (Object.keys(claims).length === 0) refuse("CON-73", `${field} names no claim`);
  for (const [name, values] of Object.entries(claims)) {
    if (valueList(values).length === 0) refuse("CON-73", `${field}.${name} is an empty list`);
  }
}

// CON-74: only what is there can be removed.
function checkRemovable(table, claims) {
  for (const [name, values] of Object.entries(claims)) {
    const stored = table.get(name);
    if (!Array.isArray(stored)) refuse("CON-74", `claim ${name} is not set`);
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
    // Of a claim that is true or false, the new value replaces the old.
    const kept = Array.isArray(stored) && typeof added[0] !== "boolean" ? stored : [];
    table.set(name, [...new Set([...kept, ...added])]);
  }
}

// What is gone already, by a proposal accepted in between, stays gone.
function removeClaims(table, claims) {
  for (const [name, values] of Object.entries(claims)) {
    const removed = valueList(values);
    const stored = table.get(name);
    const kept = Array.isArray(stored) ? stored.filter((value) => !removed.includes(value)) : [];
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
