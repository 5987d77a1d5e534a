// Checks of proposal arguments. Each throws an Error whose text starts with the number of the rule it broke.
//
// This file and its siblings are joined, in the order given in src/text.rs, into one module without imports. They use
// nothing younger than the QuickJS release of January 2024 that CCF 7 runs.

function refuse(rule, text) {
  throw new Error(`${rule}: ${text}`);
}

function describe(value) {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `of type ${typeof value}`;
}

// CON-30: arguments have the type the action names.
function checkText(value, field) {
  if (typeof value !== "string") {
    refuse("CON-30", `${field} must be text but is ${describe(value)}`);
  }
}

function checkBoolean(value, field) {
  if (typeof value !== "boolean") {
    refuse("CON-30", `${field} must be true or false but is ${describe(value)}`);
  }
}

function checkInteger(value, low, high, field) {
  if (!Number.isSafeInteger(value) || value < low || value > high) {
    refuse("CON-30", `${field} must be an integer from ${low} to ${high}`);
  }
}

function checkArray(value, field) {
  if (!Array.isArray(value)) {
    refuse("CON-30", `${field} must be an array but is ${describe(value)}`);
  }
}

function checkOneOf(value, allowed, field) {
  if (!allowed.includes(value)) {
    refuse("CON-30", `${field} must be one of ${allowed.join(", ")}`);
  }
}

function isAbsent(value) {
  return value === null || value === undefined;
}

// Applies a check only to what is there.
function optional(check, value, ...rest) {
  if (!isAbsent(value)) check(value, ...rest);
}

// CON-32: an object is an object: not null, not an array (W22).
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkObject(value, field) {
  if (!isObject(value)) {
    refuse("CON-32", `${field} must be an object but is ${describe(value)}`);
  }
}

// Actions without arguments.
function checkNone(args) {
  if (!isAbsent(args)) refuse("CON-30", "no arguments are accepted");
}

// CON-31: names chosen by callers become keys and parts of table names: 1 to 256 characters, none of them a control
// character, half a surrogate pair, or a line or paragraph separator (W12).
function checkName(value, field) {
  checkText(value, field);
  if (value.length < 1 || value.length > 256) {
    refuse("CON-31", `${field} must have 1 to 256 characters`);
  }
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(value) || /\p{Surrogate}/u.test(value)) {
    refuse("CON-31", `${field} must be printable text`);
  }
  if (value === "__proto__") refuse("CON-31", `${field} cannot be ${value}`);
}

// Lowercase hexadecimal of exactly so many digits: one value, one spelling.
function isHex(value, digits) {
  return typeof value === "string" && value.length === digits && /^[0-9a-f]*$/.test(value);
}

function checkHex(value, digits, field) {
  if (!isHex(value, digits)) {
    refuse("CON-41", `${field} must be ${digits} lowercase hexadecimal digits`);
  }
}

// SHA-256 of a text, in hexadecimal.
function digestOf(text) {
  const digest = ccf.crypto.digest("SHA-256", ccf.strToBuf(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Ids of members, users and nodes are SHA-256 digests.
function checkEntityId(value, field) {
  if (!isHex(value, 64)) refuse("CON-31", `${field} must be 64 lowercase hexadecimal digits`);
}

function checkCertificates(value, field) {
  checkText(value, field);
  if (!ccf.crypto.isValidX509CertBundle(value)) {
    refuse("CON-33", `${field} must be X.509 certificates in PEM format`);
  }
}

// CON-33: a certificate is exactly one certificate; of a longer text, different readers might take different ones.
function checkCertificate(value, field) {
  checkCertificates(value, field);
  if (value.split("-----BEGIN ").length !== 2) {
    refuse("CON-33", `${field} must be exactly one certificate`);
  }
}

// CON-34: an encryption key is an RSA public key. Anything else would make the next issue of recovery shares fail.
function checkEncryptionKey(value, field) {
  checkText(value, field);
  let modulus;
  try {
    modulus = ccf.crypto.pubRsaPemToJwk(value).n;
  } catch (e) {
    refuse("CON-34", `${field} must be an RSA public key in PEM format`);
  }
  // 2048 bits are 342 digits of base64url.
  if (typeof modulus !== "string" || modulus.length < 342) {
    refuse("CON-34", `${field} must have at least 2048 bits`);
  }
}

// CON-83: an issuer URL is https, with a host, and nothing that is not part of an issuer's name.
function checkHttpsUrl(value, field) {
  checkText(value, field);
  if (value.length > 1024 || !/^https:\/\/[A-Za-z0-9.-]+(:[0-9]{1,5})?(\/[A-Za-z0-9._~!$&'()*+,;=:@%\/-]*)?$/.test(value)) {
    refuse("CON-83", `${field} must be an https URL without user, query or fragment`);
  }
}
