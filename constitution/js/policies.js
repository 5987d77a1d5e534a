// Clean room policies: which claims, proven by attestation, code must have to act under a contract.

// CON-70: the claims of each family. Some of the first family are never produced by any attestation; a policy that names
// one admits nobody, and the application says so when the policy is read.
const FAMILIES = {
  "snp-caci": [
    "x-ms-ver",
    "x-ms-attestation-type",
    "x-ms-compliance-status",
    "x-ms-policy-hash",
    "vm-configuration-secure-boot",
    "vm-configuration-secure-boot-template-id",
    "vm-configuration-tpm-enabled",
    "vm-configuration-vmUniqueId",
    "x-ms-sevsnpvm-guestsvn",
    "x-ms-sevsnpvm-smt-allowed",
    "x-ms-sevsnpvm-is-debuggable",
    "x-ms-sevsnpvm-familyId",
    "x-ms-sevsnpvm-imageId",
    "x-ms-sevsnpvm-vmpl",
    "x-ms-sevsnpvm-reportdata",
    "x-ms-sevsnpvm-launchmeasurement",
    "x-ms-sevsnpvm-hostdata",
    "x-ms-sevsnpvm-idkeydigest",
    "x-ms-sevsnpvm-authorkeydigest",
    "x-ms-sevsnpvm-reportid",
    "x-ms-sevsnpvm-bootloader-svn",
    "x-ms-sevsnpvm-microcode-svn",
    "x-ms-sevsnpvm-migration-allowed",
    "x-ms-sevsnpvm-snpfw-svn",
    "x-ms-sevsnpvm-tee-svn",
  ],
  "snp-cvm": [
    ...Array.from({ length: 24 }, (_, index) => `pcr${index}`),
    "cvm-launchmeasurement",
    "cvm-idkeydigest",
    "cvm-guestsvn",
    "vm-configuration-secure-boot",
    "vm-configuration-tpm-enabled",
    "vm-configuration-vmUniqueId",
  ],
  jwt: ["oid", "appid", "tid", "sub", "iss"],
};

// CON-71: a value is text, a number or a truth value. It is compared as it stands, type and all, with what an attestation
// proves; one that nothing can prove admits nobody (decision 0006).
function checkClaim(family, name, values) {
  if (!FAMILIES[family].includes(name)) refuse("CON-70", `${family} has no claim ${name}`);
  for (const value of valueList(values)) {
    if (!["string", "number", "boolean"].includes(typeof value)) {
      refuse("CON-71", `claim ${name} must be text, a number, true or false, not ${JSON.stringify(value)}`);
    }
  }
}

// CON-72: registers 16 to 23 can be reset and set to anything by whoever runs, and the other claims hold for any software on
// such a machine.
function checkPinsBoot(contractId, claims) {
  const table = policyTable(contractId);
  const pinned = Array.from({ length: 16 }, (_, index) => `pcr${index}`);
  if (!pinned.some((name) => Object.hasOwn(claims, name) || table.has(name))) {
    refuse("CON-72", "a policy for confidential VMs must pin one of the registers pcr0 to pcr15");
  }
}

function policyTable(contractId) {
  return gov(`policies.cleanroom-${contractId}`);
}

const HISTORY = 16;

// CON-75: a denial can name the proposal that set the policy.
function recordOrigin(contractId, proposalId, changed) {
  const origins = gov("policy_origins");
  const { history: earlier = [], claims = {} } = origins.get(contractId) ?? {};
  const history = [...earlier.filter((id) => id !== proposalId), proposalId].slice(-HISTORY);
  const policy = policyTable(contractId);
  for (const name of changed) {
    if (policy.has(name)) claims[name] = proposalId;
    else delete claims[name];
  }
  origins.set(contractId, { proposalId, history, claims });
}

action("set_clean_room_policy", {
  check(args) {
    checkAccepted(args.contractId);
    checkOneOf(args.type, ["add", "remove"], "type");
    const family = args.policyType === undefined ? "snp-caci" : args.policyType;
    checkOneOf(family, Object.keys(FAMILIES), "policyType");
    checkObject(args.claims, "claims");
    if (args.type === "add") {
      Object.entries(args.claims).forEach(([name, values]) => checkClaim(family, name, values));
      if (family === "snp-cvm") checkPinsBoot(args.contractId, args.claims);
    } else {
      checkRemovable(policyTable(args.contractId), args.claims);
    }
  },
  apply(args, proposalId) {
    editClaims(args.type, policyTable(args.contractId), args.claims);
    recordOrigin(args.contractId, proposalId, Object.keys(args.claims));
  },
});
