//! What becomes of the process when a part of it panics: it ends, whichever part that was.
//!
//! A task of the runtime that panics would otherwise be missing without a word, and the others go on as
//! if it were there. A process that ends is started again, by Kubernetes or systemd.

use std::any::Any;
use std::panic::{PanicHookInfo, set_hook};
use std::process::exit;

use crate::exit::Exit;

/// Has the process say so and end with [`Exit::Fault`] when any part of it panics; `is_service` says
/// that its log is read and nothing else.
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

const FAULT: &str = "ended by a fault in the program; please report it";

fn what(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
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

    /// Says in a child of the test that it is one, and of what kind.
    const CHILD: &str = "DOCKFLEET_TEST_PANICS_AS";

    /// Runs this test program again, where a task panics and the rest waits for ever.
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
        for (kind, told) in [
            ("service", "\"what\":\"no such thing\""),
            (
                "command",
                "error: ended by a fault in the program; please report it: no such thing (",
            ),
        ] {
            let output = child(kind);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(Exit::Fault.code()), "{error}");
            assert!(
                error.contains(told) && error.contains("fault.rs"),
                "{error}"
            );
        }
    }
}
