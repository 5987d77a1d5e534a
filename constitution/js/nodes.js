// Nodes of the service.

function nodeInfo(id) {
  const info = gov("nodes.info").get(id);
  if (!isObject(info)) throw new Error(`node ${id} does not exist`);
  return info;
}

function endorse(id, info, args) {
  const days = validityDays(args, "maximum_node_certificate_validity_days");
  if (isAbsent(info.certificate_signing_request)) {
    throw new Error(`node ${id} has no certificate signing request`);
  }
  const cert = ccf.network.generateEndorsedCertificate(info.certificate_signing_request, args.valid_from, days);
  gov("nodes.endorsed_certificates").setText(id, cert);
}

// An operator does not pass this alone (H16): a trusted node receives the ledger secrets.
action("transition_node_to_trusted", {
  check(args) {
    checkEntityId(args.node_id, "node_id");
    checkValidity(args);
  },
  apply(args) {
    const info = nodeInfo(args.node_id);
    if (info.status !== "Pending") return;
    info.status = "Trusted";
    info.ledger_secret_seqno = ccf.network.getLatestLedgerSecretSeqno();
    gov("nodes.info").set(args.node_id, info);
    if (!isAbsent(info.certificate_signing_request)) endorse(args.node_id, info, args);
  },
});

action("remove_node", {
  check(args) {
    checkEntityId(args.node_id, "node_id");
  },
  apply(args) {
    const nodes = gov("nodes.info");
    const info = nodes.get(args.node_id);
    if (info === undefined) return;
    if (info.status === "Pending") {
      nodes.delete(args.node_id);
    } else {
      nodes.set(args.node_id, { ...info, status: "Retired" });
    }
  },
  // CON-24: taking a machine away, which its operator can do anyway.
  operator: () => true,
});

action("set_node_data", {
  check(args) {
    checkEntityId(args.node_id, "node_id");
  },
  apply(args) {
    gov("nodes.info").set(args.node_id, { ...nodeInfo(args.node_id), node_data: args.node_data });
  },
  // CON-24: a label.
  operator: () => true,
});

action("set_node_certificate_validity", {
  check(args) {
    checkEntityId(args.node_id, "node_id");
    checkValidity(args);
  },
  apply(args) {
    const info = nodeInfo(args.node_id);
    if (info.status !== "Trusted") refuse("CON-43", `node ${args.node_id} is not trusted`);
    endorse(args.node_id, info, args);
  },
  // CON-24: renewing the certificate of a node that is trusted already.
  operator: () => true,
});

action("set_all_nodes_certificate_validity", {
  check: checkValidity,
  apply(args) {
    for (const [id, info] of gov("nodes.info").entries()) {
      if (isObject(info) && info.status === "Trusted") endorse(id, info, args);
    }
  },
  // CON-24: as for one node.
  operator: () => true,
});
