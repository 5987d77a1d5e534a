// Who may sign the tokens of users. All of it is the members' (H17): an operator who could set keys under an issuer's name
// could be anybody.

// CON-51: a key set has keys, each named, each with material.
function checkKeySet(jwks, field) {
  checkObject(jwks, field);
  checkArray(jwks.keys, `${field}.keys`);
  if (jwks.keys.length === 0) refuse("CON-51", `${field}.keys is empty`);
  jwks.keys.forEach((key, index) => checkKey(key, `${field}.keys[${index}]`));
}

function checkKey(key, field) {
  checkObject(key, field);
  checkText(key.kid, `${field}.kid`);
  checkText(key.kty, `${field}.kty`);
  if (!isAbsent(key.x5c)) {
    checkArray(key.x5c, `${field}.x5c`);
    if (key.x5c.length === 0) refuse("CON-51", `${field}.x5c is empty`);
    key.x5c.forEach((der, index) => {
      checkText(der, `${field}.x5c[${index}]`);
      const pem = `-----BEGIN CERTIFICATE-----\n${der}\n-----END CERTIFICATE-----\n`;
      checkCertificate(pem, `${field}.x5c[${index}]`);
    });
  } else if (!isAbsent(key.n)) {
    checkText(key.n, `${field}.n`);
    checkText(key.e, `${field}.e`);
  } else if (!isAbsent(key.x)) {
    checkText(key.x, `${field}.x`);
    checkText(key.y, `${field}.y`);
    checkText(key.crv, `${field}.crv`);
  } else {
    refuse("CON-51", `${field} must have x5c, or n and e, or x, y and crv`);
  }
}

action("set_jwt_issuer", {
  check(args) {
    checkName(args.issuer, "issuer");
    optional(checkBoolean, args.auto_refresh, "auto_refresh");
    optional(checkText, args.ca_cert_bundle_name, "ca_cert_bundle_name");
    optional(checkKeySet, args.jwks, "jwks");
    if (args.auto_refresh) {
      // CON-50: keys are fetched only over TLS, from whom a named bundle vouches for.
      if (!args.ca_cert_bundle_name) refuse("CON-50", "auto_refresh needs ca_cert_bundle_name");
      checkHttpsUrl(args.issuer, "issuer");
    }
  },
  apply(args) {
    const { jwks, ...metadata } = args;
    if (metadata.auto_refresh && !gov("tls.ca_cert_bundles").has(metadata.ca_cert_bundle_name)) {
      refuse("CON-50", `no CA certificate bundle is named ${metadata.ca_cert_bundle_name}`);
    }
    if (!isAbsent(jwks)) ccf.setJwtPublicSigningKeys(args.issuer, metadata, jwks);
    gov("jwt.issuers").set(args.issuer, metadata);
  },
});

action("set_jwt_public_signing_keys", {
  check(args) {
    checkName(args.issuer, "issuer");
    checkKeySet(args.jwks, "jwks");
  },
  apply(args) {
    const metadata = gov("jwt.issuers").get(args.issuer);
    if (metadata === undefined) refuse("CON-50", `issuer ${args.issuer} is not known`);
    ccf.setJwtPublicSigningKeys(args.issuer, metadata, args.jwks);
  },
});

function removeIssuer(args) {
  const issuers = gov("jwt.issuers");
  if (!issuers.has(args.issuer)) return;
  issuers.delete(args.issuer);
  ccf.removeJwtPublicSigningKeys(args.issuer);
}

action("remove_jwt_issuer", {
  check(args) {
    checkText(args.issuer, "issuer");
  },
  apply: removeIssuer,
});

action("set_ca_cert_bundle", {
  check(args) {
    checkName(args.name, "name");
    checkCertificates(args.cert_bundle, "cert_bundle");
  },
  apply(args) {
    gov("tls.ca_cert_bundles").set(args.name, args.cert_bundle);
  },
});

action("remove_ca_cert_bundle", {
  check(args) {
    checkText(args.name, "name");
  },
  apply(args) {
    gov("tls.ca_cert_bundles").delete(args.name);
  },
});
