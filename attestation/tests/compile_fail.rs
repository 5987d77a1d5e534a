//! What must not compile: making an appraisal by hand, and releasing without one.

#[test]
fn nothing_is_released_without_an_appraisal() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
