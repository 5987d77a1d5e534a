// Clean room policies: which claims, proven by attestation, code must have to act under a contract.

const bool = { test: (v) => typeof v === "boolean", want: "true or false" };
const decimal = {
  test: (v) => typeof v === "string" && /^(0|[1-9][0-9]{0,9})$/.test(v),
  want: "a decimal number as text",
};
const natural = (most) => ({
  test: (v) => Number.isInteger(v) && v >= 0 && v <= most,
  want: `an integer from 0 to ${most}`,
});
const hexDigits = (digits) => ({
  test: (v) => isHex(v, digits),
  want: `${digits} lowercase hexadecimal digits`,
});
const nonEmpty = { test: (v) => typeof v === "string" && v !== "", want: "text" };
// A PCR is compared as the base64 text of a SHA-256 digest: 43 digits, the last with two bits clear, and padding.
const pcr = {
  test: (v) => typeof v === "string" && /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/.test(v),
  want: "base64 of 32 bytes",
};

// CON-70, CON-71: the claims of each family, and how their values look. One value has one spelling.
const FAMILIES = {
  "snp-caci": {
    "x-ms-ver": decimal,
    "x-ms-sevsnpvm-guestsvn": natural(0xffffffff),
    "x-ms-sevsnpvm-smt-allowed": bool,
    "x-ms-sevsnpvm-is-debuggable": bool,
    "x-ms-sevsnpvm-familyId": hexDigits(32),
    "x-ms-sevsnpvm-imageId": hexDigits(32),
    "x-ms-sevsnpvm-vmpl": natural(3),
    "x-ms-sevsnpvm-reportdata": hexDigits(128),
    "x-ms-sevsnpvm-launchmeasurement": hexDigits(96),
    "x-ms-sevsnpvm-hostdata": hexDigits(64),
    "x-ms-sevsnpvm-idkeydigest": hexDigits(96),
    "x-ms-sevsnpvm-authorkeydigest": hexDigits(96),
    "x-ms-sevsnpvm-reportid": hexDigits(64),
  },
  "snp-cvm": Object.fromEntries(Array.from({ length: 24 }, (_, index) => [`pcr${index}`, pcr])),
  jwt: Object.fromEntries(["oid", "appid", "tid", "sub", "iss"].map((name) => [name, nonEmpty])),
};

// CON-72: claims that no verification produces. A policy with one of them would refuse everybody (W26).
const NEVER_PRODUCED = [
  "x-ms-attestation-type",
  "x-ms-compliance-status",
  "x-ms-policy-hash",
  "vm-configuration-secure-boot",
  "vm-configuration-secure-boot-template-id",
  "vm-configuration-tpm-enabled",
  "vm-configuration-vmUniqueId",
  "x-ms-sevsnpvm-bootloader-svn",
  "x-ms-sevsnpvm-microcode-svn",
  "x-ms-sevsnpvm-migration-allowed",
  "x-ms-sevsnpvm-snpfw-svn",
  "x-ms-sevsnpvm-tee-svn",
];

function checkClaim(family, name, values) {
  if (family === "snp-caci" && NEVER_PRODUCED.includes(name)) {
    refuse("CON-72", `no attestation produces claim ${name}`);
  }
  const claim = Object.hasOwn(FAMILIES[family], name) ? FAMILIES[family][name] : undefined;
  if (claim === undefined) refuse("CON-70", `${family} has no claim ${name}`);
  for (const value of valueList(values)) {
    if (!claim.test(value)) refuse("CON-71", `claim ${name} must be ${claim.want}, not ${JSON.stringify(value)}`);
    if (name === "x-ms-sevsnpvm-is-debuggable" && value) {
      refuse("CON-72", "attestation of a debuggable guest is never accepted");
    }
  }
  if (claim === bool && valueList(values).length !== 1) {
    refuse("CON-71", `claim ${name} must have one value`);
  }
}

function policyTable(contractId) {
  return gov(`policies.cleanroom-${contractId}`);
}

const HISTORY = 16;

// CON-75: a denial can name the proposal that set the policy.
function recordOrigin(contractId, proposalId) {
  const origins = gov("policy_origins");
  const earlier = origins.get(contractId)?.history ?? [];
  const history = [...earlier.filter((id) => id !== proposalId), proposalId].slice(-HISTORY);
  origins.set(contractId, { proposalId, history });
}

action("set_clean_room_policy", {
  check(args) {
    checkAccepted(args.contractId);
    checkOneOf(args.type, ["add", "remove"], "type");
    const family = args.policyType === undefined ? "snp-caci" : args.policyType;
    checkOneOf(family, Object.keys(FAMILIES), "policyType");
    checkClaimLists(args.claims, "claims");
    if (args.type === "add") {
      Object.entries(args.claims).forEach(([name, values]) => checkClaim(family, name, values));
    } else {
      checkRemovable(policyTable(args.contractId), args.claims);
    }
  },
  apply(args, proposalId) {
    editClaims(args.type, policyTable(args.contractId), args.claims);
    recordOrigin(args.contractId, proposalId);
  },
});
