//! The binary: reads the command line and hands it to `commands`. The chain of
//! an error is printed once, here.

use std::process::ExitCode;

use clap::Parser as _;
use instore::cli::Cli;
use instore::commands;
use tracing::error;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.log_level);
    match commands::run(&cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            error!("{failure:#}");
            ExitCode::from(commands::code_of(&failure))
        }
    }
}

/// Lines without time: journald and cloud-init add their own.
fn start_log(level: tracing::Level) {
    use std::io::IsTerminal as _;
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
}
