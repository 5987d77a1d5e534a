// The platform policy: what every platform must prove before anything is released to it, whatever the contract.
//
// It is stored as the application reads it. A member left out has its production value; an unreadable one would close
// every release, so each member is checked here to the last digit (CON-76). No operator and no delegate passes these.

const PRODUCTS = ["Milan", "Genoa", "Turin"];
const UVM_FORMS = ["legacy", "cwt"];

function checkItems(values, field, check) {
  checkArray(values, field);
  values.forEach((value, index) => check(value, `${field}[${index}]`));
}

const hexItems = (digits) => (values, field) =>
  checkItems(values, field, (value, item) => checkHex(value, digits, item));

const oneOfItems = (allowed) => (values, field) =>
  checkItems(values, field, (value, item) => checkOneOf(value, allowed, item));

function checkTcbByName(isName) {
  return (value, field) => {
    checkObject(value, field);
    for (const [name, tcb] of Object.entries(value)) {
      if (!isName(name)) refuse("CON-76", `${field} has no member ${name}`);
      checkHex(tcb, 16, `${field}.${name}`);
    }
  };
}

function checkUvmIssuer(value, field) {
  checkObject(value, field);
  for (const name of Object.keys(value)) {
    if (!["did", "feed", "minSvn"].includes(name)) refuse("CON-76", `${field} has no member ${name}`);
  }
  checkName(value.did, `${field}.did`);
  checkName(value.feed, `${field}.feed`);
  checkInteger(value.minSvn, 0, Number.MAX_SAFE_INTEGER, `${field}.minSvn`);
}

function checkParavisor(value, field) {
  checkObject(value, field);
  for (const name of Object.keys(value)) {
    if (!["digest", "minGuestSvn"].includes(name)) refuse("CON-76", `${field} has no member ${name}`);
  }
  checkHex(value.digest, 96, `${field}.digest`);
  checkInteger(value.minGuestSvn, 0, 2 ** 32 - 1, `${field}.minGuestSvn`);
}

// Who vouches for the virtual TPM of a confidential VM: authorities by certificate, paravisors by the key that signed them.
function checkCvm(value, field) {
  checkObject(value, field);
  for (const [name, items] of Object.entries(value)) {
    if (!["authorities", "idKeys"].includes(name)) refuse("CON-76", `${field} has no member ${name}`);
    checkItems(items, `${field}.${name}`, name === "idKeys" ? checkParavisor : checkCertificate);
  }
}

const orNull = (check) => (value, field) => {
  if (value !== null) check(value, field);
};

const PLATFORM_MEMBERS = {
  products: oneOfItems(PRODUCTS),
  minimumTcb: checkTcbByName((name) => PRODUCTS.includes(name)),
  minimumTcbByCpuid: checkTcbByName((name) => isHex(name, 8)),
  committedTcb: checkBoolean,
  vmpl: (values, field) => checkItems(values, field, (value, item) => checkInteger(value, 0, 3, item)),
  uvm: (values, field) => checkItems(values, field, checkUvmIssuer),
  uvmForms: oneOfItems(UVM_FORMS),
  pinnedMeasurements: hexItems(96),
  deniedHostData: hexItems(64),
  deniedKeys: hexItems(64),
  deniedChips: hexItems(128),
  intermediates: orNull(hexItems(64)),
  platformInfo: (value, field) => checkInteger(value, 0, Number.MAX_SAFE_INTEGER, field),
  idKeys: orNull(hexItems(96)),
  cvm: checkCvm,
};

action("set_platform_policy", {
  check(args) {
    checkObject(args.policy, "policy");
    for (const [name, value] of Object.entries(args.policy)) {
      if (!Object.hasOwn(PLATFORM_MEMBERS, name)) refuse("CON-76", `policy has no member ${name}`);
      PLATFORM_MEMBERS[name](value, `policy.${name}`);
    }
  },
  apply(args) {
    setOnly("platform_policy", args.policy);
  },
});

action("remove_platform_policy", {
  check: checkNone,
  apply() {
    ccf.kv[`${GOV}platform_policy`].delete(singleton());
  },
});
