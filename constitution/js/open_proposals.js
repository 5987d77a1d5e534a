// Which open proposals are about a contract or a document: an index, so that a submission costs the same however much is open.
//
// A constitution may write only while a proposal is applied. So the index holds what was open when a proposal was accepted last.
// What came later is found in the framework's list of recent proposals, which every submission enters (CCF interface, section 2.6).
// That list forgets; if it may have forgotten one that is not indexed, all proposals are read, and the next accepted one indexes them.

// The actions by which a proposal claims an id for itself, and the argument that has it.
const CLAIMS_ID = { set_contract: "contractId", set_member_document: "documentId" };

// What a proposal claims, as keys of the index.
function claimsOf(list) {
  return list
    .filter((a) => Object.hasOwn(CLAIMS_ID, a.name))
    .map((a) => claimKey(a.name, a.args?.[CLAIMS_ID[a.name]]));
}

function claimKey(name, id) {
  return JSON.stringify([name, id]);
}

function isOpen(id) {
  try {
    return gov("proposals_info").get(id)?.state === "Open";
  } catch (e) {
    return false;
  }
}

// The claims of a stored proposal; one that cannot be read claims nothing.
function claimsOfStored(id) {
  try {
    return claimsOf(readActions(gov("proposals").get(id)) ?? []);
  } catch (e) {
    return [];
  }
}

// Ids of open proposals, other than this one, that claim the same.
function rivals(key, proposalId) {
  const claimed = gov("open_claims").get(key);
  const indexed = (Array.isArray(claimed) ? claimed : []).filter(isOpen);
  const unindexed = openAndNotIndexed().filter((id) => claimsOfStored(id).includes(key));
  return [...indexed, ...unindexed].filter((id) => id !== proposalId);
}

// Ids of open proposals that may not be in the index.
function openAndNotIndexed() {
  const index = getOnly("open_claims_index");
  const recent = recentProposals();
  if (!isObject(index) || mayHaveForgotten(index, recent)) return allOpen();
  const seen = new Set(index.seen);
  return recent.map(([, id]) => id).filter((id) => !seen.has(id) && isOpen(id));
}

function allOpen() {
  const infos = gov("proposals_info").entries();
  return infos.filter(([, info]) => isObject(info) && info.state === "Open").map(([id]) => id);
}

// [timestamp, proposal id] of the recent proposals, oldest timestamp first.
function recentProposals() {
  return gov("cose_recent_proposals")
    .entries()
    .map(([key, id]) => [key.split(":")[0], id])
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function median(recent) {
  return recent[Math.floor(recent.length / 2)]?.[0];
}

// The list forgets the oldest timestamps first, and takes none below its median, which never falls. So while it has one below
// the median it had when the index was made, or has never been full since, it has forgotten nothing that came later.
function mayHaveForgotten(index, recent) {
  const window = serviceConfig().recent_cose_proposals_window_size ?? 100;
  return recent.length >= window && !(recent[0][0] < index.median);
}

// Brings the index up to date. Called when a proposal has been applied.
function indexOpenProposals(proposalId) {
  const table = gov("open_claims");
  for (const key of claimsOfStored(proposalId)) table.delete(key);
  for (const id of openAndNotIndexed()) {
    if (id === proposalId) continue;
    for (const key of claimsOfStored(id)) {
      const claimed = table.get(key);
      const others = (Array.isArray(claimed) ? claimed : []).filter((other) => other !== id && isOpen(other));
      table.set(key, [...others, id]);
    }
  }
  const recent = recentProposals();
  setOnly("open_claims_index", { median: median(recent) ?? "", seen: recent.map(([, id]) => id) });
}
