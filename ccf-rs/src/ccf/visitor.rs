//! Lets C++ show byte strings to a Rust function, once or many times.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A function that takes pairs of byte strings until it returns false. A panic in it ends the visit and goes on after C++ has returned.
pub(super) struct Visitor<'a> {
    function: &'a mut dyn FnMut(&[u8], &[u8]) -> bool,
    panic: Option<Box<dyn Any + Send>>,
}

/// Calls `function` for the pairs that `call` shows.
pub(super) fn visiting<T>(
    function: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    call: impl FnOnce(&mut Visitor<'_>) -> T,
) -> T {
    let mut visitor = Visitor {
        function,
        panic: None,
    };
    let result = call(&mut visitor);
    match visitor.panic {
        Some(panic) => resume_unwind(panic),
        None => result,
    }
}

/// What C++ calls.
pub(super) fn visit(visitor: &mut Visitor<'_>, name: &[u8], value: &[u8]) -> bool {
    if visitor.panic.is_some() {
        return false;
    }
    match catch_unwind(AssertUnwindSafe(|| (visitor.function)(name, value))) {
        Ok(more) => more,
        Err(panic) => {
            visitor.panic = Some(panic);
            false
        }
    }
}
