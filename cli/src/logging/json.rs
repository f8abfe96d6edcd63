//! Log lines as flat JSON objects: the fields of a span are beside the fields of its events. The keys
//! are in `docs/operations.md`.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::{LookupSpan, Scope};

/// The key of an event's text.
const MESSAGE: &str = "message";

/// Formats an event as one flat JSON object. The fields of spans must be JSON.
pub(super) struct Flat;

#[derive(Serialize)]
struct LogLine<'a> {
    timestamp: String,
    level: &'static str,
    message: Value,
    #[serde(flatten)]
    fields: Map<String, Value>,
    target: &'a str,
}

impl<S, N> FormatEvent<S, N> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        let spans = ctx.event_scope().into_iter().flat_map(Scope::from_root);
        for span in spans {
            if let Some(said) = span.extensions().get::<FormattedFields<N>>()
                && let Ok(said) = serde_json::from_str::<Map<String, Value>>(&said.fields)
            {
                fields.extend(said);
            }
        }
        event.record(&mut Collect(&mut fields));
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let line = LogLine {
            timestamp,
            level: event.metadata().level().as_str(),
            message: fields.remove(MESSAGE).unwrap_or_default(),
            fields,
            target: event.metadata().target(),
        };
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

/// Collects the fields of an event.
struct Collect<'a>(&'a mut Map<String, Value>);

impl Collect<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Collect<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use serde_json::json;
    use tracing_subscriber::fmt::format::JsonFields;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0
                .lock()
                .map_err(|_| io::ErrorKind::Other)?
                .extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn spans_and_events_are_one_flat_object() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(JsonFields::new())
            .event_format(Flat)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("resource", kind = "DockerNetwork", name = "front");
            outer.in_scope(|| {
                let error = "a \"quoted\"\nerror";
                tracing::warn!(error, retry_in_s = 2_u64, ok = false, "call {}", "failed");
            });
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(
            text.starts_with("{\"timestamp\":\"") && text.ends_with("}\n"),
            "{text}"
        );
        let mut line: Map<String, Value> = serde_json::from_str(&text).unwrap();
        assert!(line.remove("timestamp").unwrap().is_string());
        let expected = json!({
            "level": "WARN",
            "message": "call failed",
            "kind": "DockerNetwork",
            "name": "front",
            "error": "a \"quoted\"\nerror",
            "retry_in_s": 2,
            "ok": false,
            "target": line["target"],
        });
        assert_eq!(Value::Object(line), expected);
    }
}
