// Options that members set: of one contract, or of the application for every contract that says nothing itself.
//
// Each option is one line of OPTIONS, with what its value may be. The application reads the options of a contract over those
// of the application over its own defaults; it never takes an option from anywhere else (law 5).

// Texts in a list, each once.
const textList = (check) => (value, field) => {
  checkItems(value, field, check);
  if (new Set(value).size !== value.length) refuse("CON-64", `${field} names one twice`);
};

const integerFrom = (low, high) => (value, field) => checkInteger(value, low, high, field);

const CONTRACT_ONLY = { application: false };

const OPTIONS = new Map([
  // Releases of secrets and tokens answer 202 until their record is committed.
  ["strictReleases", [checkBoolean]],
  // A signature over method, path, time and nonce is needed with evidence (W5).
  ["requireRequestSignature", [checkBoolean]],
  // Quotes of confidential VMs have the constant nonce of existing clients: nothing then ties registers to the key.
  ["constantQuoteNonce", [checkBoolean]],
  // Evidence must answer a challenge of this service (W5, H8).
  ["requireChallenge", [checkBoolean]],
  // Who takes part in this contract (W16, H14): ids of members, and of user identities or user certificates.
  ["members", [textList(checkEntityId), CONTRACT_ONLY]],
  ["users", [textList(checkName), CONTRACT_ONLY]],
  // Only who made a draft may replace it (W16).
  ["ownerOnlyDrafts", [checkBoolean]],
  // Callers that are no members list the secrets they stored themselves (W16).
  ["listOwnSecretsOnly", [checkBoolean]],
  // Secrets need a contract that is drafted or accepted (W21).
  ["secretsNeedContract", [checkBoolean]],
  // How many approvers a user document needs at least (W11).
  ["minimumApprovers", [integerFrom(0, 1000)]],
  // Tokens for clean rooms (W8): longest life in seconds; subjects, or how they begin; audiences; issuers.
  ["tokenLifetimeSeconds", [integerFrom(1, 31622400)]],
  ["tokenSubjects", [textList(checkName)]],
  ["tokenSubjectPrefixes", [textList(checkName)]],
  ["tokenAudiences", [textList(checkName)]],
  ["tokenIssuers", [textList(checkHttpsUrl)]],
  // The algorithm that the issuer's documents name; tokens are PS256 whatever they say (W31).
  ["tokenPublishedAlgorithm", [(value, field) => checkOneOf(value, ["RS256", "PS256", "none"], field), { contract: false }]],
  // Times in tokens are texts, as existing clients were given them, and not numbers.
  ["tokenTimesAsText", [checkBoolean]],
  // What a contract's certificate authority endorses (W13): names under these suffixes, for so many days.
  ["caDnsSuffixes", [textList(checkName)]],
  ["caMaximumDays", [integerFrom(1, 3650)]],
  // A delegate policy admits nobody unless it names documents; what is named must be accepted and consented to in any case (H9).
  ["releaseNeedsConsent", [checkBoolean]],
]);

// CON-64: an option is known where it is set and has a value it may have. `null` takes an option back.
function checkOptions(options, place) {
  checkObject(options, "options");
  for (const [name, value] of Object.entries(options)) {
    const [check, places = {}] = OPTIONS.get(name) ?? [];
    if (check === undefined || places[place] === false) refuse("CON-64", `there is no option ${name} of the ${place}`);
    if (value !== null) check(value, `options.${name}`);
  }
}

// {options, origins}: the values, and which proposal set each.
function mergeOptions(stored, changes, proposalId) {
  const { options = {}, origins = {} } = isObject(stored) ? stored : {};
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) {
      delete options[name];
      delete origins[name];
    } else {
      options[name] = value;
      origins[name] = proposalId;
    }
  }
  return { options, origins };
}

action("set_contract_options", {
  check(args) {
    checkAccepted(args.contractId);
    checkOptions(args.options, "contract");
    checkSubjects(args.contractId, args.options);
  },
  apply(args, proposalId) {
    const table = gov("contract_options");
    const merged = mergeOptions(table.get(args.contractId), args.options, proposalId);
    table.set(args.contractId, merged);
    setSubjects(args.contractId, merged.options);
  },
});

action("set_application_options", {
  check(args) {
    checkOptions(args.options, "application");
  },
  apply(args, proposalId) {
    setOnly("application_options", mergeOptions(getOnly("application_options"), args.options, proposalId));
  },
});
