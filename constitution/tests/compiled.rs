//! A constitution that is called again is loaded, not compiled: nothing it can observe tells so.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{engines, tight};
use constitution::{Engine, EngineError, Limits, MemoryKv};

/// Tells all about itself that a script can find out, of everything the language has.
const CURIOUS: &str = r#"// A comment of the first line.
const wide = "ünïcödé \u{1F600} \ud800 \0";
class Secretive {
  #big = 123456789012345678901234567890n;
  static #hidden = [-0, NaN, 1e308, 0x7fffffff, 2 ** 53];
  static pattern = /(?<year>\d{4})-\p{Lu}+/gu;
  static { this.initialised = true; }
  get big() { return String(this.#big); }
  static hidden() { return Secretive.#hidden.map((n) => [String(n), Object.is(n, -0)]); }
  static has(value) { return #big in value; }
}
function* numbers(n = 3, { step = 1, ...rest } = {}) {
  outer: for (let i = 0; i < n; i += step) {
    switch (i) { case 1: continue outer; default: yield [i, rest]; }
  }
}
const deep = () => { null.property; };
async function later(...args) { for await (const x of args) await x; }
export function validate(input) {
  const seen = [wide, `a${1}\n\u{41}`, new Secretive().big, Secretive.hidden(), Secretive.initialised];
  seen.push(Secretive.has(new Secretive()), Secretive.has({}), "2024-ÄB".match(Secretive.pattern), String(Secretive.pattern));
  seen.push([...numbers()], [...numbers(5, { step: 2, more: 1 })]);
  const functions = [validate, Secretive, numbers, deep, later, Secretive.hidden, (() => () => 7)()];
  for (const f of functions) seen.push([f.name, f.length, f.toString(), Object.getOwnPropertyNames(f)]);
  for (const broken of [deep, () => undeclared, () => { wide = 1; }, () => Secretive.prototype.big, () => { throw Error("x"); }]) {
    try { broken(); } catch (e) { seen.push([e.name, e.message, e.stack]); }
  }
  let local = "seen by eval";
  seen.push(eval("local + input.length"), typeof Function("return this")(), typeof import.meta, Object.keys(import.meta));
  seen.push(typeof this, [1, , 3], { __proto__: { inherited: 1 }, ["computed" + 1]: 2 }.inherited, input?.a?.b ?? "none");
  seen.push(typeof later(1), Object.keys(globalThis), [..."a\u{1F600}"].length);
  return { valid: true, description: JSON.stringify(seen) };
}
"#;

fn told(engine: &mut dyn Engine, module: &str) -> Result<Option<String>, EngineError> {
    let mut kv = MemoryKv::default();
    engine
        .validate(module, "{}", &mut kv)
        .map(|validation| validation.description)
}

#[test]
fn nothing_a_script_sees_tells_that_it_was_compiled_before() {
    for (name, mut engine) in engines(Limits::default()) {
        let first = told(engine.as_mut(), CURIOUS).unwrap().unwrap();
        // Positions are those of the text, and it is all there.
        assert!(
            first.contains("at deep (public:ccf.gov.constitution[0]:17:"),
            "{first}"
        );
        assert!(first.contains("#big = 123456789012345678901234567890n"));
        for _ in 0..3 {
            let again = told(engine.as_mut(), CURIOUS).unwrap().unwrap();
            assert_eq!(again, first, "{name}");
        }
    }
}

#[test]
fn errors_are_the_same_again() {
    let modules = [
        "\n\n  export function validate(input) {\n return undeclared.property; }",
        "throw new Error('at the top'); export function validate() { return {valid: true}; }",
        "export const validate = 7;",
        "export function validate(input) { return input.",
        "import { x } from 'elsewhere'; export function validate() { return {valid: true, description: x}; }",
        "export function validate() { for (;;) {} }",
        "export function validate() { return validate() + 1; }",
        "export function validate() { const a = []; for (;;) a.push(new Uint8Array(1 << 20)); }",
        "await 1; let late = 1; export function validate() { return {valid: true, description: String(late)}; }",
        "import * as self from 'public:ccf.gov.constitution[0]'; export const mine = 5; \
         export function validate() { return {valid: true, description: String(self.mine)}; }",
    ];
    for (name, mut engine) in engines(tight()) {
        for module in modules {
            let first = told(engine.as_mut(), module);
            for _ in 0..3 {
                let again = told(engine.as_mut(), module);
                match (&first, &again) {
                    // Where in an endless recursion or loop the limit is met is not certain.
                    (Err(first), Err(again)) if first.trace().is_some() => {
                        assert_eq!(first.code(), again.code(), "{name} {module}");
                        assert_eq!(first.to_string(), again.to_string(), "{name} {module}");
                    }
                    _ => assert_eq!(first, again, "{name} {module}"),
                }
            }
        }
    }
}

/// What one call leaves behind, in its realm or in what it was given, no other finds.
#[test]
fn each_call_has_a_realm_of_its_own() {
    let module = "
        let calls = 0;
        const kept = {};
        export function validate(input) {
            const found = [calls++, Object.keys(kept), globalThis.left, Array.prototype.left, validate.left, Object.isFrozen(strings())];
            kept.left = globalThis.left = Array.prototype.left = validate.left = 1;
            return {valid: true, description: JSON.stringify(found)};
        }
        const strings = () => ((s) => s)`x`;";
    for (name, mut engine) in engines(Limits::default()) {
        for _ in 0..5 {
            let found = told(engine.as_mut(), module).unwrap().unwrap();
            assert_eq!(found, "[0,[],null,null,null,true]", "{name}");
        }
    }
}
