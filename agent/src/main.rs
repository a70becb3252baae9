//! The binary: reads the command line and hands it to `commands`. The chain of
//! an error is printed once, here.

use std::process::ExitCode;

use clap::Parser as _;
use instore::cli::Cli;
use instore::{commands, log};
use tracing::error;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(cli.log_level);
    match commands::run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            error!("{failure:#}");
            ExitCode::from(commands::code_of(&failure))
        }
    }
}
