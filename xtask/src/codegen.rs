//! `cargo xtask codegen`: makes the Rust code of the protobuf schemas, by the program
//! `tidings-codegen`.

use anyhow::Result;

use crate::command;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    command::run(
        command::cargo(["run", "--quiet", "--package", "tidings-codegen", "--"])?.args(arguments),
    )
}
