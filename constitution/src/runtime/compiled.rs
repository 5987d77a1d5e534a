//! Constitutions compiled once. Compiling is most of what a call of a constitution costs, and the same text is called again and
//! again; each call still evaluates it in a realm of its own.
//!
//! What is kept is the engine's own bytecode, made by this process in a realm without a script, and loaded by the same engine.
//! It carries names, positions and source, so that nothing a script can observe tells it from its text; where it would, the text
//! is not kept. A call that finds none compiles the text.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rquickjs::loader::bundle::{Bundle, ScaBundleData};
use rquickjs::loader::{ImportAttributes, Loader, Resolver};
use rquickjs::module::{Declared, WriteOptions};
use rquickjs::{Context, Ctx, Error, Module, Runtime};

use crate::limits::Limits;
use crate::runtime::templates::may_be_tagged;

/// Modules kept. They are kept for good, which bounds what they take; a service has one constitution at a time.
const MOST: usize = 16;

static COMPILED: Mutex<Compiled> = Mutex::new(Compiled {
    modules: Vec::new(),
    previous: None,
});

struct Compiled {
    modules: Vec<(Source, Bytecode)>,
    /// What was asked for last: only a text that comes again is worth keeping.
    previous: Option<Source>,
}

/// The name and the bytes, as the loader of compiled modules takes them.
type Bytecode = Bundle<ScaBundleData<&'static [u8]>>;

/// What must be equal for a compiled module to stand for a text. Under other limits the text might not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    name: String,
    text: String,
    heap_bytes: usize,
    stack_bytes: usize,
}

impl Source {
    fn is(&self, name: &str, text: &str, limits: Limits) -> bool {
        self.heap_bytes == limits.heap_bytes
            && self.stack_bytes == limits.stack_bytes
            && self.name == name
            && self.text == text
    }
}

/// As [`Module::declare`], from what is kept if this text was compiled before.
pub(crate) fn declare<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    text: &str,
    limits: Limits,
) -> rquickjs::Result<Module<'js, Declared>> {
    match kept(name, text, limits) {
        Some(mut bytecode) => bytecode.load(ctx, name, None),
        None => Module::declare(ctx.clone(), name, text),
    }
}

fn compiled() -> MutexGuard<'static, Compiled> {
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn kept(name: &str, text: &str, limits: Limits) -> Option<Bytecode> {
    {
        let mut compiled = compiled();
        let found = compiled
            .modules
            .iter()
            .find(|(source, _)| source.is(name, text, limits));
        if let Some((_, bytecode)) = found {
            return Some(*bytecode);
        }
        let again = compiled
            .previous
            .as_ref()
            .is_some_and(|source| source.is(name, text, limits));
        if !again || compiled.modules.len() >= MOST || may_be_tagged(text) {
            compiled.previous = Some(Source {
                name: name.to_owned(),
                text: text.to_owned(),
                heap_bytes: limits.heap_bytes,
                stack_bytes: limits.stack_bytes,
            });
            return None;
        }
    }
    let bytes = compile(name, text, limits).ok()?;
    let mut compiled = compiled();
    let source = compiled.previous.take_if(|s| s.is(name, text, limits))?;
    let name: &'static str = name.to_owned().leak();
    let module: &'static [_] = Box::leak(Box::new([(name, &*bytes.leak())]));
    compiled.modules.push((source, Bundle(module)));
    Some(Bundle(module))
}

/// The bytecode of a module that needs no other.
fn compile(name: &str, text: &str, limits: Limits) -> rquickjs::Result<Vec<u8>> {
    let runtime = Runtime::new()?;
    runtime.set_memory_limit(limits.heap_bytes);
    runtime.set_max_stack_size(limits.stack_bytes);
    runtime.set_loader(Alone, Alone);
    let context = Context::full(&runtime)?;
    context.with(|ctx| {
        let written = Module::declare(ctx.clone(), name, text)
            .and_then(|module| module.write(WriteOptions::default()));
        // The exception belongs to this realm.
        ctx.catch();
        written
    })
}

/// Finds no module, not even the one that asks: what a module imports is not part of its bytecode.
struct Alone;

impl Resolver for Alone {
    fn resolve<'js>(
        &mut self,
        _: &Ctx<'js>,
        base: &str,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<String> {
        Err(Error::new_resolving(base, name))
    }
}

impl Loader for Alone {
    fn load<'js>(
        &mut self,
        _: &Ctx<'js>,
        name: &str,
        _: Option<ImportAttributes<'js>>,
    ) -> rquickjs::Result<Module<'js, Declared>> {
        Err(Error::new_loading(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept is one for the process: each of these tests needs it alone.
    static ALONE: Mutex<()> = Mutex::new(());

    fn alone() -> MutexGuard<'static, ()> {
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn declared(name: &str, text: &str, limits: Limits) -> bool {
        let runtime = Runtime::new().unwrap();
        let context = Context::full(&runtime).unwrap();
        context.with(|ctx| declare(&ctx, name, text, limits).is_ok())
    }

    #[test]
    fn a_text_that_comes_again_is_kept_under_its_limits_and_name() {
        let _alone = alone();
        let (limits, text) = (Limits::default(), "export function kept() {}");
        assert!(declared("again", text, limits));
        assert!(compiled().modules.iter().all(|(s, _)| s.text != text));
        let kept = |name: &str, text: &str, limits: Limits| {
            let compiled = compiled();
            let found = compiled.modules.iter();
            found.filter(|(s, _)| s.is(name, text, limits)).count()
        };
        assert!(declared("again", text, limits));
        assert_eq!(kept("again", text, limits), 1);
        let tight = Limits {
            heap_bytes: limits.heap_bytes / 2,
            ..limits
        };
        assert_eq!(kept("again", text, tight), 0);
        assert_eq!(kept("other", text, limits), 0);
        assert_eq!(kept("again", "export function kept() { }", limits), 0);
    }

    #[test]
    fn what_does_not_compile_or_needs_another_module_is_not_kept() {
        let _alone = alone();
        let limits = Limits::default();
        for (name, text) in [
            ("broken", "export function ("),
            (
                "other",
                "import * as other from 'somewhere'; export { other }",
            ),
            ("self", "import * as self from 'self'; export { self }"),
            ("again", "export * from 'again'"),
        ] {
            let compiles = declared(name, text, limits);
            assert!(compile(name, text, limits).is_err(), "{text}");
            for _ in 0..3 {
                assert_eq!(declared(name, text, limits), compiles, "{text}");
            }
            assert!(compiled().modules.iter().all(|(s, _)| s.text != text));
        }
        // Loaded, the strings of a tagged template would not be frozen.
        let text = "export const strings = ((s) => s)`x`";
        for _ in 0..3 {
            assert!(declared("tagged", text, limits));
        }
        assert!(compiled().modules.iter().all(|(s, _)| s.text != text));
    }
}
