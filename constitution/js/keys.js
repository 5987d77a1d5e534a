// Keys the application makes: of the token issuer, for signing, and of a contract's certificate authority. Governance
// says that there is one and when a new one is due; the application makes it.

function keySwitch(enable, rotate, table) {
  action(enable, {
    check(args) {
      checkName(args.kid, "kid");
    },
    apply(args) {
      const settings = gov(table);
      if (settings.has("enabled")) return;
      settings.setText("enabled", "true");
      settings.setText("generateSigningKeyRequestId", "1");
      settings.setText("generateSigningKeyKid", args.kid);
    },
  });
  action(rotate, {
    apply() {
      const settings = gov(table);
      const request = settings.getText("generateSigningKeyRequestId");
      if (request !== undefined) settings.setText("generateSigningKeyRequestId", next(request));
    },
  });
}

// Request numbers are decimal text.
function next(request) {
  const number = /^[0-9]{1,15}$/.test(request) ? Number(request) : 0;
  return String(number + 1);
}

keySwitch("enable_oidc_issuer", "oidc_issuer_enable_rotate_signing_key", "oidc_issuer");
keySwitch("enable_signing", "signing_enable_rotate_signing_key", "signing");

// CON-65: a subject of tokens, or a beginning of subjects, is listed for one contract (W8). This table says for which: the
// application looks up whose a subject is (`=` before it), or whose the way it begins (`^`).
function listedSubjects(options) {
  const exact = (options.tokenSubjects ?? []).map((subject) => `=${subject}`);
  const prefixes = (options.tokenSubjectPrefixes ?? []).map((prefix) => `^${prefix}`);
  return [...exact, ...prefixes];
}

function checkSubjects(contractId, options) {
  const subjects = gov("token_subjects");
  for (const key of listedSubjects(options)) {
    const owner = subjects.getText(key);
    if (owner !== undefined && owner !== contractId) {
      refuse("CON-65", `subject ${key.slice(1)} is listed for contract ${owner}`);
    }
  }
}

function setSubjects(contractId, options) {
  checkSubjects(contractId, options);
  const subjects = gov("token_subjects");
  const old = [];
  subjects.handle.forEach((owner, key) => {
    if (ccf.bufToStr(owner) === contractId) old.push(ccf.bufToStr(key));
  });
  for (const key of old) subjects.delete(key);
  for (const key of listedSubjects(options)) subjects.setText(key, contractId);
}

action("set_oidc_issuer_url", {
  check(args) {
    checkHttpsUrl(args.issuer_url, "issuer_url");
  },
  apply(args) {
    gov("oidc_issuer").setText("issuerUrl", args.issuer_url);
  },
});

action("enable_ca", {
  check(args) {
    checkAccepted(args.contractId);
  },
  apply(args) {
    const authorities = gov("ca");
    if (authorities.get(args.contractId)?.enabled !== "true") {
      authorities.set(args.contractId, { enabled: "true", requestId: "1" });
    }
  },
});

// CON-62: only an authority that is enabled has a key to rotate.
function checkEnabled(contractId) {
  if (gov("ca").get(contractId)?.enabled !== "true") {
    refuse("CON-62", `contract ${contractId} has no certificate authority`);
  }
}

action("ca_enable_rotate_signing_key", {
  check(args) {
    checkAccepted(args.contractId);
    checkEnabled(args.contractId);
  },
  apply(args) {
    checkEnabled(args.contractId);
    const authority = gov("ca").get(args.contractId);
    gov("ca").set(args.contractId, { ...authority, requestId: next(`${authority.requestId}`) });
  },
});
