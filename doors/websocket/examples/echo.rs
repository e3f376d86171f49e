//! Echoes text and binary messages, without TLS, through the layer that the doors use, so that RFC
//! 6455 suites can be run against it: `cargo run --example echo -- ADDR`.

use std::sync::Arc;

use tidings_door_websocket::{
    Accepted, Answer, Error, HttpLimits, Incoming, Origins, UpgradePolicy, accept,
};
use tidings_protocol_websocket::{CloseCode, Config, MessageKinds};
use tokio::net::{TcpListener, TcpStream};

const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Suites may write much before they read, and wait for nobody.
const UNSENT_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let Some(address) = std::env::args().nth(1) else {
        eprintln!("usage: cargo run --example echo -- ADDR   (such as 127.0.0.1:9001)");
        std::process::exit(2);
    };
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);
    let policy = Arc::new(policy());
    loop {
        let (stream, _) = listener.accept().await?;
        let policy = policy.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, policy).await {
                eprintln!("{error}");
            }
        });
    }
}

fn policy() -> UpgradePolicy {
    let config = Config {
        message_bytes_max: MESSAGE_BYTES_MAX,
        fragments_max: None,
        unsent_bytes_max: UNSENT_BYTES_MAX,
        message_kinds: MessageKinds::TextAndBinary,
        ..Config::default()
    };
    UpgradePolicy { origins: Origins::Any, protocols: Vec::new(), config: Arc::new(config) }
}

async fn serve(stream: TcpStream, policy: Arc<UpgradePolicy>) -> Result<(), Error> {
    stream.set_nodelay(true)?;
    let handler = |_| std::future::ready(Answer::Upgrade(policy.clone(), ()));
    let accepted = accept(stream, &HttpLimits::default(), handler).await?;
    let Some(Accepted { mut websocket, .. }) = accepted else { return Ok(()) };
    while let Incoming::Message { kind, payload } = websocket.next().await? {
        websocket.queue(kind, payload);
    }
    websocket.close(CloseCode::NORMAL, "").await;
    Ok(())
}
