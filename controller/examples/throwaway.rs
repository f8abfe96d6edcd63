#[tokio::main]
async fn main() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let client = kube::Client::try_default().await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let s = stop.clone();
    tokio::spawn(async move {
        tokio::signal::ctrl_c().await.unwrap();
        s.cancel();
    });
    let r =
        dockfleet_controller::run(dockfleet_controller::ControllerConfig::new(client), stop).await;
    if let Err(e) = &r {
        let mut e: &dyn std::error::Error = e;
        eprintln!("error: {e}");
        while let Some(s) = e.source() {
            eprintln!("  caused by: {s}");
            e = s;
        }
    }
}
