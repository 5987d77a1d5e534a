// The service: opening, configuration, certificates.

action("transition_service_to_open", {
  check(args) {
    checkCertificate(args.next_service_identity, "next_service_identity");
    optional(checkCertificate, args.previous_service_identity, "previous_service_identity");
    checkRecoveryArguments(args);
  },
  apply(args, proposalId) {
    const previous = args.previous_service_identity;
    if (serviceInfo().status === "Recovering") {
      if (isAbsent(previous)) refuse("CON-39", "opening a recovering service needs the previous service identity");
      recordRecovery(args, proposalId);
    }
    ccf.node.transitionServiceToOpen(
      isAbsent(previous) ? undefined : ccf.strToBuf(previous),
      ccf.strToBuf(args.next_service_identity),
    );
  },
  // CON-22: an operator alone opens a service only the first time. In a fresh service nothing has been entrusted yet, and
  // its members and constitution are those of the genesis transaction, which everybody can see before relying on it. After
  // a recovery, opening is what members use to say *which* ledger continues, and as which identity: theirs to say.
  operator() {
    const info = getOnly("service.info");
    return isObject(info) && info.status === "Opening";
  },
});

action("trigger_recovery_shares_refresh", {
  check: checkNone,
  apply() {
    ccf.node.triggerRecoverySharesRefresh();
  },
});

action("trigger_ledger_rekey", {
  check: checkNone,
  apply() {
    ccf.node.triggerLedgerRekey();
  },
});

function checkNewThreshold(threshold) {
  const status = serviceInfo().status;
  if (status === "WaitingForRecoveryShares") {
    refuse("CON-36", `the threshold cannot be set while the service is ${status}`);
  }
  if (status === "Open") checkThreshold(threshold);
}

function updateServiceConfig(changes) {
  const config = serviceConfig();
  const threshold = changes.recovery_threshold;
  const newThreshold = !isAbsent(threshold) && threshold !== config.recovery_threshold;
  if (newThreshold) checkNewThreshold(threshold);
  const type = changes.reconfiguration_type;
  const oldType = config.reconfiguration_type ?? "OneTransaction";
  if (!isAbsent(type) && type !== oldType && type !== "TwoTransaction") {
    refuse("CON-38", `reconfiguration_type cannot change from ${oldType} to ${type}`);
  }
  for (const [name, value] of Object.entries(changes)) {
    if (!isAbsent(value)) config[name] = value;
  }
  setOnly("service.config", config);
  if (newThreshold) ccf.node.triggerRecoverySharesRefresh();
}

action("set_recovery_threshold", {
  check(args) {
    checkInteger(args.recovery_threshold, 1, 254, "recovery_threshold");
  },
  apply(args) {
    updateServiceConfig({ recovery_threshold: args.recovery_threshold });
  },
});

action("set_service_configuration", {
  check(args) {
    // CON-38: only these settings are governed here.
    const known = ["reconfiguration_type", "recovery_threshold", "recent_cose_proposals_window_size"];
    for (const name of Object.keys(args)) {
      if (!known.includes(name)) refuse("CON-38", `${name} is no setting of the service`);
    }
    optional(checkText, args.reconfiguration_type, "reconfiguration_type");
    optional(checkInteger, args.recovery_threshold, 1, 254, "recovery_threshold");
    optional(checkInteger, args.recent_cose_proposals_window_size, 1, 10000, "recent_cose_proposals_window_size");
  },
  apply: updateServiceConfig,
});

const MAXIMUM_DAYS = 365;

// CON-43: certificates last a day to as long as the service allows.
function checkValidity(args) {
  checkText(args.valid_from, "valid_from");
  optional(checkInteger, args.validity_period_days, 1, 36500, "validity_period_days");
}

function validityDays(args, setting) {
  const most = serviceConfig()[setting] ?? MAXIMUM_DAYS;
  const days = args.validity_period_days ?? most;
  if (days > most) refuse("CON-43", `${days} days are more than the ${most} the service allows`);
  return days;
}

action("set_service_certificate_validity", {
  check: checkValidity,
  apply(args) {
    const days = validityDays(args, "maximum_service_certificate_validity_days");
    const cert = ccf.network.generateNetworkCertificate(args.valid_from, days);
    setOnly("service.info", { ...serviceInfo(), cert });
  },
  // CON-24: renewing certificates of the same keys.
  operator: () => true,
});

action("assert_service_identity", {
  check(args) {
    checkCertificate(args.service_identity, "service_identity");
    if (serviceInfo().cert !== args.service_identity) {
      refuse("CON-39", "service_identity is not the certificate of this service");
    }
  },
  apply() {},
});

action("trigger_ledger_chunk", {
  apply() {
    ccf.node.triggerLedgerChunk();
  },
  // CON-24: where ledger files end.
  operator: () => true,
});

action("trigger_snapshot", {
  apply() {
    ccf.node.triggerSnapshot();
  },
  // CON-24: when a snapshot is taken.
  operator: () => true,
});
