// Tables as maps from text to JSON. Values the framework stores as plain bytes go through `raw`.

const GOV = "public:ccf.gov.";

// The key of tables that hold one value.
function singleton() {
  return new ArrayBuffer(8);
}

class Table {
  constructor(name) {
    this.handle = ccf.kv[name];
  }
  has(key) {
    return this.handle.has(ccf.strToBuf(key));
  }
  get(key) {
    const bytes = this.handle.get(ccf.strToBuf(key));
    return bytes === undefined ? undefined : ccf.bufToJsonCompatible(bytes);
  }
  set(key, value) {
    this.handle.set(ccf.strToBuf(key), ccf.jsonCompatibleToBuf(value));
  }
  getText(key) {
    const bytes = this.handle.get(ccf.strToBuf(key));
    return bytes === undefined ? undefined : ccf.bufToStr(bytes);
  }
  setText(key, text) {
    this.handle.set(ccf.strToBuf(key), ccf.strToBuf(text));
  }
  delete(key) {
    this.handle.delete(ccf.strToBuf(key));
  }
  clear() {
    this.handle.clear();
  }
  // [key, value] pairs; entries that are no JSON are left out, so that readers are total.
  entries() {
    const entries = [];
    this.handle.forEach((value, key) => {
      try {
        entries.push([ccf.bufToStr(key), ccf.bufToJsonCompatible(value)]);
      } catch (e) {
        console.warn(`unreadable entry skipped: ${e}`);
      }
    });
    return entries;
  }
}

// A table under public:ccf.gov.
function gov(name) {
  return new Table(GOV + name);
}

function getOnly(name) {
  const bytes = ccf.kv[GOV + name].get(singleton());
  return bytes === undefined ? undefined : ccf.bufToJsonCompatible(bytes);
}

function setOnly(name, value) {
  ccf.kv[GOV + name].set(singleton(), ccf.jsonCompatibleToBuf(value));
}

function serviceInfo() {
  const info = getOnly("service.info");
  if (!isObject(info)) throw new Error("service information is missing");
  return info;
}

function serviceConfig() {
  const config = getOnly("service.config");
  if (!isObject(config)) throw new Error("service configuration is missing");
  return config;
}
