//! Ends the process when any part of it panics.
//!
//! Otherwise a task of the runtime that panics would silently be missing, and the others would continue
//! without it. Kubernetes or systemd starts the process again.

use std::any::Any;
use std::panic::{PanicHookInfo, set_hook};
use std::process::exit;

use crate::exit::Exit;

/// Makes the process report a panic of any part and exit with [`Exit::Fault`]. With `is_service`,
/// only the log is written.
pub(crate) fn end_on_panic(is_service: bool) {
    set_hook(Box::new(move |panic| {
        let (what, place) = (what(panic.payload()), place(panic));
        if is_service {
            tracing::error!(what, place, "{FAULT}");
        } else {
            anstream::eprintln!("error: {FAULT}: {what} ({place})");
        }
        exit(Exit::Fault.code());
    }));
}

const FAULT: &str = "stopped by a bug in the program; please report it";

fn what(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

fn place(panic: &PanicHookInfo<'_>) -> String {
    panic
        .location()
        .map_or_else(|| "somewhere".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    /// The variable that is set in child processes of the test, with their kind.
    const CHILD: &str = "DOCKFLEET_TEST_PANICS_AS";

    /// Runs this test program again. In it, a task panics and the rest waits for ever.
    fn child(kind: &str) -> Output {
        let program = std::env::current_exe().unwrap();
        Command::new(program)
            .args([
                "--exact",
                "fault::tests::a_panic_of_any_task_ends_the_process",
                "--nocapture",
            ])
            .env(CHILD, kind)
            .output()
            .unwrap()
    }

    #[test]
    fn a_panic_of_any_task_ends_the_process() {
        if let Ok(kind) = std::env::var(CHILD) {
            if kind == "service" {
                crate::logging::init("error", Some(crate::args::LogFormat::Json)).unwrap();
            }
            end_on_panic(kind == "service");
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                tokio::spawn(async { panic!("no such {}", "thing") });
                std::future::pending::<()>().await;
            });
        }
        for (kind, reported) in [
            ("service", "\"what\":\"no such thing\""),
            (
                "command",
                "error: stopped by a bug in the program; please report it: no such thing (",
            ),
        ] {
            let output = child(kind);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(Exit::Fault.code()), "{error}");
            assert!(
                error.contains(reported) && error.contains("fault.rs"),
                "{error}"
            );
        }
    }
}
