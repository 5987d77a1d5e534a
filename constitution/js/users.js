// Users known by certificate.

function setUserData(id, data) {
  if (isAbsent(data)) {
    gov("users.info").delete(id);
  } else {
    gov("users.info").set(id, { user_data: data });
  }
}

action("set_user", {
  check(args) {
    checkCertificate(args.cert, "cert");
    optional(checkObject, args.user_data, "user_data");
  },
  apply(args) {
    const id = ccf.pemToId(args.cert);
    gov("users.certs").setText(id, args.cert);
    setUserData(id, args.user_data);
  },
});

action("remove_user", {
  check(args) {
    checkEntityId(args.user_id, "user_id");
  },
  apply(args) {
    gov("users.certs").delete(args.user_id);
    gov("users.info").delete(args.user_id);
  },
});

action("set_user_data", {
  check(args) {
    checkEntityId(args.user_id, "user_id");
    optional(checkObject, args.user_data, "user_data");
  },
  apply(args) {
    setUserData(args.user_id, args.user_data);
  },
});
